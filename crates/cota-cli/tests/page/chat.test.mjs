// A whole conversation, as a person has it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { bot, closeBrowser, example, model, open, record, say, serve, shoot, transcript, until, write } from "./support.mjs";

after(closeBrowser);

const TALK = [
  ["hello", "Hello! I can tell you the weather. Which city and which day?"],
  ["What is the weather in Oslo?", "Sure, Oslo. For which day?"],
  ["tomorrow", "Oslo, tomorrow: 12 degrees, light rain. Anything else?"],
  ["thanks", "You are welcome!"],
];
const WHOLE = TALK.flatMap(([said, answer]) => [`mine: ${said}`, `bot: ${answer}`]);

test("a conversation is had, found again after a reload, left for a new one and returned to", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  assert.equal(await page.locator("#empty").isVisible(), true);
  for (const [said, answer] of TALK) assert.equal(await say(page, said), answer);
  assert.deepEqual(await transcript(page), WHOLE);
  assert.equal(await page.locator("#typing").isVisible(), false);
  await shoot(page, "chat-light");

  await page.reload();
  await until(page, (count) => document.querySelectorAll("#messages > li").length >= count, WHOLE.length);
  assert.deepEqual(await transcript(page), WHOLE);

  await page.locator("#new").click();
  assert.deepEqual(await transcript(page), []);
  assert.equal(await page.locator("#text").evaluate((text) => text === document.activeElement), true);
  await say(page, "bye");
  assert.deepEqual(await page.locator("#conversations .go").allInnerTexts(), ["bye", "hello"]);

  await page.getByRole("button", { name: "hello", exact: true }).click();
  await until(page, (count) => document.querySelectorAll("#messages > li").length >= count, WHOLE.length);
  assert.deepEqual(await transcript(page), WHOLE);
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.strangers, []);
});

test("a conversation can be forgotten, here and on the server", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  await say(page, "hello");
  const id = await page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get("c"));
  page.removeAllListeners("dialog");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Forget “hello”" }).click();
  await until(page, () => document.querySelectorAll("#conversations li").length === 0);
  assert.equal((await fetch(`${url}/v1/conversations/${id}`)).status, 404);
  assert.deepEqual(await transcript(page), []);
});

test("Enter sends, Shift+Enter breaks the line, and the Enter of an input method does neither", async (t) => {
  const { url } = await serve(t, example("weather-zh"));
  const page = await open(t, url);
  const text = page.locator("#text");
  await text.fill("你好");
  for (const composing of [{ isComposing: true }, { keyCode: 229 }]) {
    const isLeftAlone = await text.evaluate(
      (element, composing) => element.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...composing })),
      composing,
    );
    assert.equal(isLeftAlone, true);
  }
  assert.deepEqual([await text.inputValue(), await transcript(page)], ["你好", []]);
  await text.press("Shift+Enter");
  await text.pressSequentially("在吗");
  assert.equal(await text.inputValue(), "你好\n在吗");
  await text.press("Enter");
  await until(page, () => document.querySelector("#messages .bot"));
  assert.equal((await transcript(page))[0], "mine: 你好\n在吗");
  await write(page, "   ");
  assert.equal((await transcript(page)).length, 2);
});

test("markup and script in messages are shown as text, of the user, the bot and in the inspector", async (t) => {
  const nasty = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b> & "quotes"`;
  const llm = await model(t, () => nasty);
  const { url } = await serve(t, bot("chat"), { llm });
  const page = await open(t, url);
  assert.equal(await say(page, nasty), nasty);
  assert.deepEqual(await transcript(page), [`mine: ${nasty}`, `bot: ${nasty}`]);
  await page.locator(".turn .sum", { hasText: "replied" }).waitFor();
  assert.equal(await page.locator(".step .text").last().textContent(), nasty);
  assert.equal(await page.locator("#conversations .go").textContent(), nasty.slice(0, 60));
  assert.equal(await page.locator("#messages img, #messages script, #messages b, #turns img, #turns script, #conversations img").count(), 0);
  assert.deepEqual(page.complaints, []);
});

test("two people in one conversation see each other's messages once", async (t) => {
  const { url } = await serve(t, example("weather"));
  const ann = await open(t, `${url}/#c=shared`);
  const ben = await open(t, `${url}/#c=shared`);
  await say(ann, "hello");
  await until(ben, () => document.querySelectorAll("#messages > li").length === 2);
  await say(ben, "thanks");
  await until(ann, () => document.querySelectorAll("#messages > li").length === 4);
  assert.deepEqual((await transcript(ann)).map((line) => line.split(":")[0]), ["mine", "bot", "other", "bot"]);
  assert.deepEqual((await transcript(ben)).map((line) => line.split(":")[0]), ["other", "bot", "mine", "bot"]);
  assert.equal((await record(ann)).filter((event) => event.data.name === "UserUtter").length, 2);
});


test("where there are several bots, one is picked, and a conversation stays with its bot", async (t) => {
  const { url } = await serve(t, [example("weather"), example("weather-zh")]);
  const page = await open(t, url);
  await page.locator("#bot").waitFor();
  assert.equal(await say(page, "thanks"), "You are welcome!");
  await page.locator("#bot").selectOption("weather-zh");
  await until(page, () => document.querySelector("#state.open") && !document.querySelector("#messages > li"));
  assert.match(await say(page, "你好"), /您好/);
  await page.getByRole("button", { name: "thanks", exact: true }).click();
  await until(page, () => document.querySelectorAll("#messages > li").length === 2);
  assert.equal(await page.locator("#bot").inputValue(), "weather");
  assert.equal(await say(page, "bye"), "Goodbye!");
  await page.getByRole("button", { name: "你好", exact: true }).click();
  await until(page, () => document.querySelector("#messages .bot")?.textContent.includes("您好"));
  assert.equal(await page.locator("#bot").inputValue(), "weather-zh");
  assert.deepEqual(page.complaints, []);
});
