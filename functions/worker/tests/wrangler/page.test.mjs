// The web page against the Worker, as `wrangler dev` serves both.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, open, record, say, shoot, transcript, until } from "../../../../crates/cota-cli/tests/page/support.mjs";

after(closeBrowser);

const TALK = [
  ["hello", "Hello! I can tell you the weather. Which city and which day?"],
  ["What is the weather in Oslo?", "Sure, Oslo. For which day?"],
  ["tomorrow", "Oslo, tomorrow: 12 degrees, light rain. Anything else?"],
];
const WHOLE = TALK.flatMap(([said, answer]) => [`mine: ${said}`, `bot: ${answer}`]);

test("a conversation is had, and is there again after a reload", async (t) => {
  const page = await open(t, process.env.COTA_URL);
  for (const [said, answer] of TALK) assert.equal(await say(page, said), answer);
  assert.deepEqual(await transcript(page), WHOLE);
  assert.equal((await record(page)).filter((event) => event.data.name === "UserUtter").length, TALK.length);
  await page.locator(".turn .sum", { hasText: "replied" }).first().waitFor();
  await shoot(page, "wrangler-dev");

  await page.reload();
  await until(page, (count) => document.querySelectorAll("#messages > li").length >= count, WHOLE.length);
  assert.deepEqual(await transcript(page), WHOLE);
  assert.deepEqual([page.complaints, page.strangers], [[], []]);
});

test("two people in one conversation see each other's messages once", async (t) => {
  const ann = await open(t, `${process.env.COTA_URL}/#c=shared`);
  const ben = await open(t, `${process.env.COTA_URL}/#c=shared`);
  await say(ann, "hello");
  await until(ben, () => document.querySelectorAll("#messages > li").length === 2);
  await say(ben, "thanks");
  await until(ann, () => document.querySelectorAll("#messages > li").length === 4);
  assert.deepEqual((await transcript(ann)).map((line) => line.split(":")[0]), ["mine", "bot", "other", "bot"]);
  assert.deepEqual((await transcript(ben)).map((line) => line.split(":")[0]), ["other", "bot", "mine", "bot"]);
});
