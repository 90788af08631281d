// Answers as they are written, and every way in which the line to them may break: each message stands on the screen once.

import assert from "node:assert/strict";
import path from "node:path";
import { after, test } from "node:test";
import { bot, closeBrowser, folder, model, open, record, say, serve, shoot, transcript, until, wire, write } from "./support.mjs";

after(closeBrowser);

const TEXT = "Grüße aus Oslo: \"12 degrees\" 🌤, a light breeze from the south-west, and nothing else to report until the evening.";
const WHOLE = ["mine: hello", `bot: ${TEXT}`];

const isHalfWritten = () => (document.querySelector("#messages .live .body")?.textContent.length ?? 0) > 40;
const isDone = () => document.querySelector("#messages .bot:not(.live)");

/** Looks at the messages whenever they change; what was on the screen twice at once ends up in `window.twice`. */
const lookOut = (page) =>
  page.evaluate(() => {
    window.twice = [];
    new MutationObserver(() => {
      const bodies = [...document.querySelectorAll("#messages .body")].map((body) => body.textContent);
      if (document.querySelectorAll("#messages .bot").length > 1 || new Set(bodies).size < bodies.length) window.twice.push(bodies);
    }).observe(document.querySelector("#messages"), { childList: true, subtree: true, characterData: true });
  });

async function answeredOnce(page) {
  assert.deepEqual(await transcript(page), WHOLE);
  assert.deepEqual(await page.evaluate(() => window.twice ?? []), []);
  assert.equal(await page.locator("#typing").isVisible(), false);
  const names = (await record(page)).filter((event) => event.kind === "action").map((event) => event.data.name);
  assert.deepEqual(names.filter((name) => name.endsWith("Utter")), ["UserUtter", "BotUtter"]);
  assert.deepEqual(page.complaints, []);
}

test("a reply is shown while it is written, after a sign that it is", async (t) => {
  const llm = await model(t, () => TEXT);
  const { url } = await serve(t, bot("chat"), { llm });
  const page = await open(t, url);
  await lookOut(page);
  await page.evaluate(() => {
    window.typed = false;
    const look = () => (window.typed ||= !document.querySelector("#typing").hidden);
    new MutationObserver(look).observe(document.querySelector("#typing"), { attributes: true });
  });
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  const half = await page.locator("#messages .live .body").textContent();
  assert.ok(TEXT.startsWith(half) && half.length < TEXT.length, half);
  assert.equal(await page.evaluate(() => window.typed), true);
  await shoot(page, "streaming");
  llm.go();
  await until(page, isDone);
  await answeredOnce(page);
});

test("a line that is cut in the middle of an answer goes on where it was", async (t) => {
  const llm = await model(t, () => TEXT);
  const { port } = await serve(t, bot("chat"), { llm });
  const line = await wire(t, port);
  const page = await open(t, line.url);
  await lookOut(page);
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  for (let n = 0; n < 3; n += 1) {
    line.cut();
    await page.locator("#state.broken, #state.connecting").waitFor();
    await page.locator("#state.open").waitFor();
    await until(page, isHalfWritten);
  }
  llm.go();
  await until(page, isDone);
  await answeredOnce(page);
});

test("an answer that is finished while the line is down is there when it is back", async (t) => {
  const llm = await model(t, () => TEXT);
  const server = await serve(t, bot("chat"), { llm });
  const line = await wire(t, server.port);
  const page = await open(t, line.url);
  await lookOut(page);
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  line.down();
  await page.locator("#state.broken").waitFor();
  llm.go();
  const id = await page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get("c"));
  const head = async () => (await (await fetch(`${server.url}/v1/conversations/${id}/events`)).json()).events?.at(-1)?.kind;
  while ((await head()) !== "turn_end") await new Promise((done) => setTimeout(done, 20));
  line.up();
  await until(page, isDone);
  await answeredOnce(page);
});

test("a reload in the middle of an answer shows the question, the answer so far, and the rest", async (t) => {
  const llm = await model(t, () => TEXT);
  const { url } = await serve(t, bot("chat"), { llm });
  const page = await open(t, url);
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  await page.reload();
  await lookOut(page);
  await until(page, isHalfWritten);
  assert.equal((await transcript(page))[0], "mine: hello");
  llm.go();
  await until(page, isDone);
  await answeredOnce(page);
});

test("a server that dies in the middle of an answer answers once when it runs again", async (t) => {
  const llm = await model(t, () => TEXT);
  const store = `sqlite:${path.join(folder(t), "cota.db")}`;
  const server = await serve(t, bot("chat"), { llm, store });
  const page = await open(t, server.url);
  await lookOut(page);
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  await server.stop();
  await page.locator("#state.broken").waitFor();
  llm.go();
  await serve(t, bot("chat"), { llm, store, port: server.port });
  await until(page, isDone);
  await answeredOnce(page);
  assert.equal(await say(page, "and again"), TEXT);
});

test("what cannot be sent says so, and is sent again under the same id", async (t) => {
  const llm = await model(t, () => TEXT);
  const { port } = await serve(t, bot("chat"), { llm });
  const line = await wire(t, port);
  const page = await open(t, line.url);
  const sent = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload))));
  line.down();
  await page.locator("#state.broken").waitFor();
  await write(page, "hello");
  await page.getByText("Not sent.").waitFor();
  assert.equal(await page.locator(".failed .retry").count(), 1);
  await shoot(page, "not-sent");
  line.up();
  await until(page, isDone);
  assert.equal(await page.locator(".failed").count(), 0);
  await answeredOnce(page);
  assert.equal(new Set(sent.filter((frame) => frame.type === "text").map((frame) => frame.message_id)).size, 1);
});

test("what the bot refuses can be sent again by hand, under the same id", async (t) => {
  const llm = await model(t, () => TEXT);
  const { url } = await serve(t, bot("reject"), { llm });
  const page = await open(t, url);
  llm.hold();
  await write(page, "hello");
  await until(page, isHalfWritten);
  await write(page, "me too");
  await page.locator(".failed .retry").waitFor();
  llm.go();
  await until(page, isDone);
  await page.locator(".failed .retry").click();
  await until(page, () => document.querySelectorAll("#messages .bot:not(.live)").length === 2);
  assert.equal(await page.locator(".failed").count(), 0);
  assert.deepEqual((await transcript(page)).filter((line) => line.startsWith("mine")), ["mine: hello", "mine: me too"]);
  const said = (await record(page)).filter((event) => event.data.name === "UserUtter").map((event) => event.data.result[0].text);
  assert.deepEqual(said, ["hello", "me too"]);
  assert.deepEqual(page.complaints, []);
});
