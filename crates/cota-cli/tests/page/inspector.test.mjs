// A person sees at a glance why the bot did what it did.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { bot, changed, closeBrowser, example, model, open, say, serve, shoot, until } from "./support.mjs";

after(closeBrowser);

/** What the open turn shows: for each action the lines a reader sees. */
const steps = (page) =>
  page.locator(".turn[open] .step").evaluateAll((items) =>
    items.map((item) => ({
      action: item.querySelector(".head b")?.textContent,
      state: item.querySelector(".tag")?.textContent,
      cause: item.querySelector(".cause")?.textContent,
      thought: item.querySelector("blockquote")?.lastChild.textContent,
      text: item.querySelector(".text")?.textContent,
      slots: [...item.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent).join(" ")),
      calls: [...item.querySelectorAll(".call")].map((call) => call.textContent),
      examples: [...item.querySelectorAll(".minor li")].map((title) => title.textContent),
      error: item.querySelector("p.error:not(.call)")?.textContent,
    })));

/** Says something and waits until the inspector has the whole turn. */
async function turn(page, text) {
  const turns = await page.locator(".turn").count();
  await say(page, text);
  await until(page, (count) => {
    const last = [...document.querySelectorAll(".turn")][count];
    return last && /ms/.test(last.querySelector(".sum").textContent);
  }, turns);
  return steps(page);
}

test("the turn that an LLM chose: cause, thought, examples, calls, and how the form changed", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  const [user, selector, weather, utter] = await turn(page, "What is the weather in Oslo?");
  assert.deepEqual([user.action, user.text], ["UserUtter", "What is the weather in Oslo?"]);
  assert.equal(selector.cause, "LLM the LLM was asked what to do");
  assert.match(selector.thought, /the user wants a forecast/);
  assert.equal(selector.text, "chose Weather");
  assert.ok(selector.examples.includes("the day is missing"), selector.examples);
  assert.match(selector.calls[0], /^offline choose the next action · \d+ ms$/);
  assert.deepEqual([weather.cause, weather.state, weather.slots], ["Selector the Selector chose it", "slots missing", ["city not known Oslo"]]);
  assert.equal(utter.cause, "Form Weather misses “time”");
  assert.match(utter.thought, /ask for the day/);
  assert.equal(await page.locator("#now").innerText().then((text) => text.replace(/\s+/g, " ")), "Active form Weather city Oslo");
  await shoot(page, "inspector-form");

  const second = await turn(page, "tomorrow");
  const executed = second.find((step) => step.action === "Weather");
  assert.deepEqual([executed.state, executed.text, executed.slots], ["executed", "Oslo, tomorrow: 12 degrees, light rain", ["time not known tomorrow"]]);
  assert.equal(await page.locator("#now").innerText(), "No active form");
  assert.match(await page.locator(".turn[open] .sum").innerText(), /^\d\d:\d\d:\d\d · replied · \d+ ms · 4 LLM calls$/);
  assert.equal(await page.locator(".turn[open]").count(), 1);
});

test("the turn that a rule chose names the rule", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  const [, handOver, utter] = await turn(page, "agent please");
  for (const step of [handOver, utter]) assert.equal(step.cause, "Rule the rule “hand over to a person” says so");
  assert.equal(handOver.text, "done");
  assert.deepEqual(handOver.calls, []);
});

test("tokens and time of real calls are told, each and together", async (t) => {
  const llm = await model(t, () => "Fine weather.");
  const { url } = await serve(t, bot("chat"), { llm });
  const page = await open(t, url);
  const shown = await turn(page, "hello");
  const calls = shown.flatMap((step) => step.calls);
  assert.equal(calls.length, llm.state.calls);
  for (const call of calls) assert.match(call, /^scripted .* · \d+ ms · 321 → 45 tokens$/);
  const whole = `${321 * calls.length} tokens in, ${45 * calls.length} out`;
  assert.ok((await page.locator(".turn[open] .sum").innerText()).endsWith(whole));
  assert.ok((await page.locator(".turn[open] .bar").count()) > 0);
});

test("an executor that fails is seen", async (t) => {
  const { readFileSync } = await import("node:fs");
  const agent = readFileSync(`${example("weather")}/agent.yml`, "utf8").replace(/mock: "\{city\}.*/, "url: http://127.0.0.1:9/forecast");
  const { url } = await serve(t, changed(t, example("weather"), { "agent.yml": agent }));
  const page = await open(t, url);
  const shown = await turn(page, "What is the weather in Oslo tomorrow?");
  const broken = shown.find((step) => step.action === "Weather");
  assert.match(broken.error, /^Error .+/);
  assert.equal(await page.locator(".step.broken").count(), 1);
  await shoot(page, "inspector-error");
});

test("“Why?” leads from an answer to what caused it", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url, { viewport: { width: 390, height: 780 } });
  await say(page, "hello");
  await say(page, "thanks");
  await page.locator(".why").first().click();
  await page.locator(".step.shown").waitFor();
  assert.match(await page.locator(".step.shown").innerText(), /Hello! I can tell you the weather/);
  assert.equal(await page.evaluate(() => document.activeElement.classList.contains("shown")), true);
  assert.equal(await page.locator("#chat").isVisible(), false);
  await shoot(page, "phone-why");
  await page.locator("#close-inspector").click();
  assert.equal(await page.locator("#chat").isVisible(), true);
});

test("the inspector follows a conversation that goes on elsewhere", async (t) => {
  const { url } = await serve(t, example("weather"));
  await fetch(`${url}/v1/conversations/elsewhere/messages`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: "hello" }),
  });
  const page = await open(t, `${url}/#c=elsewhere`);
  await until(page, () => document.querySelectorAll(".turn").length === 1);
  await fetch(`${url}/v1/conversations/elsewhere/messages`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: "agent please" }),
  });
  await until(page, () => document.querySelectorAll(".turn").length === 2);
  assert.match((await steps(page))[1].cause, /^Rule/);
  assert.deepEqual(page.complaints, []);
});
