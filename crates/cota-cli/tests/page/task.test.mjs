// A task on the page: started, watched as it goes on, answered and stopped, by everybody and on everything.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { PHONE, SECRET, bot, closeBrowser, example, faults, folder, model, open, serve, shoot, signIn, start, token, until, wire } from "./support.mjs";

after(closeBrowser);

/** Bytes of what the task view adds to the page, as they are without compression. */
const MOST_BYTES = 30_000;
const LETTER = "Dear friends! See the harbour and the old town. Eat at the market hall. See you on Saturday.";

/** A task of two agents that think at once and a third that sums it up, over a scripted model. */
function research(t) {
  const task = path.join(folder(t), "research");
  for (const agent of ["ana", "ben", "cy"]) {
    mkdirSync(path.join(task, "agents"), { recursive: true });
    cpSync(bot("chat"), path.join(task, "agents", agent), { recursive: true });
    const file = path.join(task, "agents", agent, "agent.yml");
    writeFileSync(file, readFileSync(file, "utf8").replace("name: chat", `name: ${agent}`));
  }
  writeFileSync(path.join(task, "task.yml"), `description: Look into something from two sides.
plans:
  - {name: pro, agent: ana, startquery: 'what speaks for {{input}}?'}
  - {name: con, agent: ben, startquery: 'what speaks against {{input}}?'}
  - {name: sum, agent: cy, startquery: 'sum up. {{results.pro}} {{results.con}}', dependencies: [pro, con]}
  - {name: check, agent: ana, startquery: 'is that so? {{results.sum}}', dependencies: [pro, sum]}
`);
  return task;
}

/** Goes to the tasks by hand and starts one. */
async function begin(page, input) {
  await until(page, () => document.querySelector("#tasks")?.hidden === false);
  if (!(await page.locator("#tasks").isVisible())) await page.locator("#open-list").click();
  await page.locator("#tasks").click();
  await page.locator("#task-input").fill(input);
  await page.getByRole("button", { name: /^(Start|开始)$/ }).click();
  await page.locator("#task-watch").waitFor();
}

const states = (page) =>
  page.locator(".card").evaluateAll((cards) => Object.fromEntries(cards.map((card) => [card.querySelector("b").textContent, card.classList[1]])));
const comesTo = (page, state) => page.locator(`#task-state.${state}`).waitFor();

test("the trip is started, watched, approved, and there again after a reload", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url);
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
  assert.deepEqual(await states(page), { sights: "done", food: "done", prices: "failed", letter: "done", approve: "asking", send: "waiting" });
  assert.equal(await page.locator("#task-title").innerText(), "trip · Oslo");
  assert.equal(await page.locator(".question .text").innerText(), `Shall this be sent? ${LETTER}`);
  await shoot(page, "task-asks");
  await page.getByLabel("Your answer").fill("yes");
  await page.locator(".question button").click();
  await comesTo(page, "partial");
  assert.deepEqual(await states(page), { sights: "done", food: "done", prices: "failed", letter: "done", approve: "done", send: "done" });
  assert.equal(await page.locator("#task-result").innerText(), "Sent.");
  assert.deepEqual([await page.locator(".question").count(), await page.locator("#task-stop").isVisible()], [0, false]);
  assert.match(await page.locator(".card", { hasText: "sights" }).first().locator(".time").innerText(), /^[\d.]+ (ms|s)$/);
  await page.locator(".card", { hasText: "prices" }).first().click();
  const facts = await page.locator("#task-facts").innerText();
  assert.match(facts, /Tries\s+2/);
  assert.match(facts, /Error\s+the agent could not answer/);
  await shoot(page, "task-ended");

  await page.reload();
  await comesTo(page, "partial");
  assert.equal(await page.locator("#task-result").innerText(), "Sent.");
  await page.getByRole("link", { name: "All tasks" }).click();
  await page.locator("#task-begun a", { hasText: "trip Oslo" }).click();
  await comesTo(page, "partial");
  await page.getByRole("button", { name: "Back to the chat" }).click();
  await page.locator("#state.open").waitFor();
  assert.deepEqual([await page.locator("#chat").isVisible(), await page.locator("#task-view").isVisible()], [true, false]);
  assert.deepEqual(page.complaints, []);
});

test("each step is drawn where it belongs, and is seen to run", async (t) => {
  const llm = await model(t, () => "it depends");
  const { url } = await serve(t, research(t), { llm });
  const page = await open(t, url);
  llm.hold();
  await begin(page, "tea");
  await until(page, () => document.querySelectorAll(".card.running").length === 2);
  assert.deepEqual(await states(page), { pro: "running", con: "running", sum: "waiting", check: "waiting" });
  await until(page, () => [...document.querySelectorAll(".card.running .time")].every((time) => /^[1-9]\d* s$/.test(time.textContent)));
  await shoot(page, "task-runs");
  const boxes = await page.locator(".card").evaluateAll((cards) => Object.fromEntries(cards.map((card) => [card.querySelector("b").textContent, card.getBoundingClientRect().toJSON()])));
  assert.ok(boxes.pro.x === boxes.con.x && boxes.con.right < boxes.sum.x && boxes.sum.right < boxes.check.x, "what waits is to the right");
  const lines = await page.locator("#task-graph path").evaluateAll((paths) => paths.map((path) => path.getBoundingClientRect().toJSON()));
  assert.equal(lines.length, 4);
  assert.ok(lines.every(({ width, height }) => width > 20 && height < 400), "each line has its length");
  llm.go();
  await comesTo(page, "done");
  assert.equal(await page.locator("#task-graph path.done").count(), 4);
  assert.equal(await page.locator("#task-done").innerText(), "4 of 4 steps");
});

test("a consultation that is planned as it goes grows to the right", async (t) => {
  const { url } = await serve(t, example("consult"));
  const page = await open(t, url);
  await begin(page, "");
  await comesTo(page, "done");
  const at = await page.locator(".card").evaluateAll((cards) => cards.map((card) => card.getBoundingClientRect().x));
  assert.ok(at.length === 5 && at.every((x, n) => n === 0 || x > at[n - 1]), `${at}`);
  assert.equal(await page.locator("#task-graph path").count(), 4);
});

test("a task is stopped, once one is sure", async (t) => {
  const llm = await model(t, () => "it depends");
  const { url } = await serve(t, research(t), { llm });
  const page = await open(t, url);
  llm.hold();
  await begin(page, "tea");
  await until(page, () => document.querySelectorAll(".card.running").length === 2);
  const answers = [false, true];
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => (answers.shift() ? dialog.accept() : dialog.dismiss()));
  await page.locator("#task-stop").click();
  assert.deepEqual(await states(page), { pro: "running", con: "running", sum: "waiting", check: "waiting" });
  await page.locator("#task-stop").click();
  await comesTo(page, "cancelled");
  assert.deepEqual(Object.values(await states(page)), Array(4).fill("cancelled"));
  await shoot(page, "task-stopped");
  assert.deepEqual([answers, page.complaints], [[], []]);
});

test("a line that breaks, and a server that is killed, change nothing", async (t) => {
  const store = `sqlite:${path.join(folder(t), "cota.db")}`;
  const first = await serve(t, example("trip"), { store });
  const line = await wire(t, first.port);
  const page = await open(t, line.url);
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
  line.cut();
  await first.stop();
  await page.getByLabel("Your answer").fill("yes");
  await page.locator(".question button").click();
  await page.locator("#task-wrong", { hasText: "The server cannot be reached." }).waitFor();
  await serve(t, example("trip"), { store, port: first.port });
  await page.locator(".question button").click();
  await comesTo(page, "partial");
  assert.equal(await page.locator("#task-result").innerText(), "Sent.");
  assert.deepEqual(page.complaints, []);
});

const LOOKS = {
  light: {}, dark: { colorScheme: "dark" }, phone: PHONE, "phone-dark": { ...PHONE, colorScheme: "dark" }, chinese: { locale: "zh-CN" },
};
for (const [name, options] of Object.entries(LOOKS)) {
  test(`no rule of axe is broken, and nothing scrolls sideways: ${name}`, async (t) => {
    const { url } = await serve(t, [example("trip"), example("consult")]);
    const page = await open(t, url, options);
    const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    await page.goto(`${url}/#task=`);
    await until(page, () => document.querySelectorAll("#task-name option").length === 2);
    assert.deepEqual([await faults(page), await isWide()], [[], false], "where one is started");
    await shoot(page, `task-start-${name}`);
    await begin(page, "Oslo");
    await comesTo(page, "waiting");
    await page.locator(".card.done").first().click();
    assert.deepEqual([await faults(page), await isWide()], [[], false], "while it asks");
    await shoot(page, `task-asks-${name}`);
    await page.locator(".question input").fill("yes");
    await page.locator(".question button").click();
    await comesTo(page, "partial");
    assert.deepEqual([await faults(page), await isWide()], [[], false], "when it is over");
    await shoot(page, `task-ended-${name}`);
  });
}

test("a small phone holds it too", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url, { ...PHONE, viewport: { width: 320, height: 640 } });
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  const at = await page.locator(".card").evaluateAll((cards) => cards.map((card) => card.getBoundingClientRect()).map(({ x, right }) => [x, right]));
  assert.ok(at.every(([x, right]) => x > 20 && right <= 320), `${at}`);
});

test("it speaks Chinese where the page does, and changes with it", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url, { locale: "zh-CN" });
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
  const told = async () => [await page.locator("#task-state").innerText(), await page.locator("#task-stop").innerText(), await page.locator(".question h3").innerText()];
  assert.deepEqual(await told(), ["等你回答", "停止", "approve 需要你回答"]);
  await page.locator("#language").click();
  assert.deepEqual(await told(), ["waits for you", "Stop", "approve asks you"]);
  const { words, told: skip } = await page.evaluate(async () => {
    const { WORDS } = await import("/page/words.js");
    return { words: Object.values(WORDS).map((language) => Object.keys(language).sort().join()), told: document.querySelector(".skip").textContent };
  });
  assert.equal(words[0], words[1]);
  assert.equal(skip, "Skip to the task");
});

test("whoever starts a task before the server has listed its tasks has started it", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url);
  await until(page, () => document.querySelector("#tasks")?.hidden === false);
  await page.route("**/v1/tasks*", async (route) => {
    if (route.request().method() === "GET") await new Promise((done) => setTimeout(done, 500));
    await route.continue();
  });
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
});

test("everything can be done with the keyboard alone, and is told to a screen reader", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url);
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.querySelector?.("b")?.textContent || document.activeElement.className);
  const tabTo = async (wanted) => {
    for (let n = 0; (await focused()) !== wanted; n += 1) {
      assert.ok(n < 30, `${wanted} is not reached`);
      await page.keyboard.press("Tab");
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(ring, "none", `${await focused()} does not show that it has the focus`);
    }
  };
  // What the server tells first draws the list anew, and an element that is replaced loses the focus.
  await until(page, () => document.querySelector("#tasks")?.hidden === false);
  await page.locator(".skip").focus();
  await tabTo("tasks");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.id === "task-input");
  await page.keyboard.type("Oslo");
  await page.evaluate(() => {
    window.heard = [];
    const listen = (live) => new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => window.heard.push(node.textContent)))).observe(live, { childList: true });
    listen(document.querySelector("#task-live"));
  });
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await comesTo(page, "waiting");
  await tabTo("answer-approve");
  await page.keyboard.type("yes");
  await page.keyboard.press("Enter");
  await comesTo(page, "partial");
  assert.equal(await focused(), "task-title");
  await tabTo("letter");
  await page.keyboard.press("Enter");
  assert.match(await page.locator("#task-facts").innerText(), /Dear friends!/);
  await tabTo("task-close");
  await page.keyboard.press("Enter");
  assert.deepEqual([await focused(), await page.locator("#task-detail").isVisible()], ["letter", false]);
  const heard = await page.evaluate(() => window.heard);
  assert.deepEqual([...heard].sort(), [
    "The task is partly done", "approve: asks you", "approve: done", "food: done", "letter: done", "prices: failed", "send: done", "sights: done",
  ]);
});

test("the chat loads nothing of it, and it is light itself", async (t) => {
  const { url } = await serve(t, example("trip"));
  const page = await open(t, url);
  const loaded = () => page.evaluate(() => performance.getEntriesByType("resource").filter((entry) => /\/page\/task/.test(entry.name)).map((entry) => entry.decodedBodySize));
  assert.deepEqual(await loaded(), []);
  await page.locator("#tasks").waitFor();
  await begin(page, "Oslo");
  await comesTo(page, "waiting");
  const sizes = await loaded();
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${sizes.length} files, ${whole} bytes`);
  assert.ok(sizes.length === 5 && whole > 0 && whole < MOST_BYTES, `${sizes.length} files of ${whole} bytes`);
  assert.deepEqual([page.strangers, page.complaints], [[], []]);
});

test("tasks are offered to whoever may start them, where there are some", async (t) => {
  const without = await open(t, (await serve(t, example("weather"))).url);
  await without.locator("#bots").waitFor({ state: "attached" });
  assert.equal(await without.locator("#tasks").isHidden(), true);
  const { url } = await serve(t, example("trip"), { secret: SECRET });
  const page = await start(t);
  await page.goto(url);
  await signIn(page, token({ sub: "ana", scope: "chat" }));
  await page.locator("#state.open").waitFor();
  assert.equal(await page.locator("#tasks").isHidden(), true);
  await page.goto(`${url}/#task=t1`);
  await page.locator("#task-wrong", { hasText: "Tasks need the scope “operator”." }).waitFor();
  const operator = await start(t);
  await operator.goto(url);
  await signIn(operator, token({ sub: "bo", scope: "chat operator" }));
  await begin(operator, "Oslo");
  await comesTo(operator, "waiting");
  await operator.goto(`${url}/#task=none`);
  await operator.locator("#task-wrong", { hasText: "there is no task with this id" }).waitFor();
});
