// Chat completions as npm's openai speaks them.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

/** Only catches a hang. */
const timeout = 60_000;
const client = new OpenAI({ baseURL: `${process.env.COTA_URL}/v1`, apiKey: "none", maxRetries: 0 });
const says = (content) => [{ role: "user", content }];
const inside = (conversation) => ({ headers: { "X-Conversation-Id": conversation } });

test("the models are the bots", { timeout }, async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ["chat", "latest", "pay"]);
});

test("the messages are the past", { timeout }, async () => {
  const messages = [
    { role: "system", content: "You are a pirate." },
    { role: "user", content: "my name is Ana" },
    { role: "assistant", content: "Hello Ana!" },
    { role: "user", content: [{ type: "text", text: "who am I?" }] },
  ];
  const completion = await client.chat.completions.create({ model: "chat", messages, temperature: 0.2, user: "ana" });
  assert.equal(completion.choices[0].message.content, "You are Ana.");
  assert.equal(completion.choices[0].finish_reason, "stop");
  assert.equal(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens);
});

test("with the header the record is the past", { timeout }, async () => {
  const first = { model: "chat", messages: says("my name is Ana"), user: "ana" };
  await client.chat.completions.create(first, inside("js-kept"));
  const second = { model: "chat", messages: says("who am I?"), user: "ana" };
  const completion = await client.chat.completions.create(second, inside("js-kept"));
  assert.equal(completion.choices[0].message.content, "You are Ana.");
});

test("an answer streams in pieces and tells what it cost", { timeout }, async () => {
  for (const options of [{}, inside("js-stream")]) {
    const stream = await client.chat.completions.create(
      { model: "chat", messages: says("tell me a story"), stream: true, stream_options: { include_usage: true } },
      options,
    );
    let [text, pieces, usage, reason] = ["", 0, null, null];
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      text += choice?.delta.content ?? "";
      pieces += choice?.delta.content ? 1 : 0;
      reason = choice?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, "Once upon a time. ".repeat(40));
    assert.ok(pieces > 3, `${pieces} pieces`);
    assert.equal(reason, "stop");
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  }
});

test("the stream helper gathers the same", { timeout }, async () => {
  const runner = client.chat.completions.stream({ model: "chat", messages: says("tell me a story") });
  assert.equal(await runner.finalContent(), "Once upon a time. ".repeat(40));
});

test("a turn that fails in the middle of its stream is an error there", { timeout }, async () => {
  const story = { model: "latest", messages: says("tell me a story"), stream: true };
  const stream = await client.chat.completions.create(story, inside("js-latest"));
  let later = null;
  await assert.rejects(
    async () => {
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content && !later) {
          const second = { model: "latest", messages: says("my name is Ana") };
          later = client.chat.completions.create(second, inside("js-latest"));
        }
      }
    },
    (error) => error instanceof OpenAI.APIError && error.code === "superseded",
  );
  assert.equal((await later).choices[0].message.content, "You are Ana.");
});

test("refusals are the client's own errors", { timeout }, async () => {
  const create = (request, options) => () => client.chat.completions.create({ model: "chat", messages: says("hi"), ...request }, options);
  const tool = { type: "function", function: { name: "f", parameters: {} } };
  await assert.rejects(create({ tools: [tool] }), (e) => e instanceof OpenAI.BadRequestError && e.param === "tools");
  await assert.rejects(create({ n: 2 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "n");
  await assert.rejects(create({ model: "gpt-4o" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  await assert.rejects(create({ messages: [] }), (e) => e instanceof OpenAI.BadRequestError && e.param === "messages");
  await assert.rejects(create({}, inside("two words")), OpenAI.BadRequestError);
});

test("what may happen only once needs a conversation that is kept", { timeout }, async () => {
  const pay = { model: "pay", messages: says("pay the rent") };
  for (const stream of [false, true]) {
    await assert.rejects(
      () => client.chat.completions.create({ ...pay, stream }),
      (e) => e instanceof OpenAI.BadRequestError && /X-Conversation-Id/.test(e.message),
    );
  }
});
