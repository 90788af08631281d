// Everybody can use it: in light and dark, English and Chinese, on a phone, with a keyboard and a screen reader, at once.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { PHONE, bot, closeBrowser, example, faults, model, open, say, serve, shoot, until, wire, write } from "./support.mjs";

after(closeBrowser);

/** Bytes of the page and everything it loads, as they are without compression. */
const MOST_BYTES = 60_000;
/** Milliseconds within which the page is painted on loopback. */
const PAINTED = 100;

async function talked(t, url, options) {
  const page = await open(t, url, options);
  await say(page, "hello");
  await say(page, "agent please");
  await say(page, "What is the weather in Oslo?");
  await until(page, () => document.querySelectorAll(".turn").length === 3);
  return page;
}

const LOOKS = {
  light: {}, dark: { colorScheme: "dark" }, phone: PHONE, "phone-dark": { ...PHONE, colorScheme: "dark" },
  chinese: { locale: "zh-CN" }, tablet: { viewport: { width: 1000, height: 720 } },
};
for (const [name, options] of Object.entries(LOOKS)) {
  test(`no rule of axe is broken: ${name}`, async (t) => {
    const { url } = await serve(t, example(name === "chinese" ? "weather-zh" : "weather"));
    const page = await open(t, url, options);
    assert.deepEqual(await faults(page), [], "while it is empty");
    await page.close();
    const used = name === "chinese" ? await open(t, url, options) : await talked(t, url, options);
    if (name === "chinese") for (const text of ["你好", "北京的天气怎么样？"]) await say(used, text);
    assert.deepEqual(await faults(used), []);
    await shoot(used, name);
    if (!name.startsWith("phone")) return;
    await used.locator("#inspect").click();
    assert.deepEqual(await faults(used), [], "with the inspector");
    await shoot(used, `${name}-inspector`);
    await used.locator("#close-inspector").click();
    await used.locator("#open-list").click();
    assert.deepEqual(await faults(used), [], "with the list");
    await shoot(used, `${name}-list`);
  });
}

test("no rule of axe is broken while a message fails, or an answer is written", async (t) => {
  const llm = await model(t, () => "a long answer that is held in its middle for a while");
  const { port } = await serve(t, bot("chat"), { llm });
  const line = await wire(t, port);
  const page = await open(t, line.url);
  llm.hold();
  await write(page, "hello");
  await page.locator("#messages .live").waitFor();
  assert.deepEqual(await faults(page), []);
  line.down();
  await page.locator("#state.broken").waitFor();
  await write(page, "are you there?");
  await page.locator(".failed .retry").waitFor();
  assert.deepEqual(await faults(page), []);
});

test("colours follow the system, the switch overrules it, and the choice is kept", async (t) => {
  const { url } = await serve(t, example("weather"));
  const light = (page) => page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]) > 128);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(t, url, { colorScheme });
    const isLight = colorScheme === "light";
    assert.equal(await light(page), isLight);
    await page.locator("#theme").click();
    assert.equal(await light(page), !isLight);
    await page.reload();
    assert.equal(await light(page), !isLight);
  }
});

test("it speaks Chinese to a Chinese browser and English to others, and the switch is kept", async (t) => {
  const { url } = await serve(t, example("weather-zh"));
  const page = await open(t, url, { locale: "zh-CN" });
  const told = () => page.evaluate(() => [document.documentElement.lang, document.querySelector("#new").textContent, document.querySelector("#text").placeholder]);
  assert.deepEqual(await told(), ["zh", "新会话", "输入消息"]);
  await say(page, "你好");
  await page.locator(".turn .sum", { hasText: "已回复" }).waitFor();
  await page.locator("#language").click();
  assert.deepEqual(await told(), ["en", "New conversation", "Write a message"]);
  await page.locator(".turn .sum", { hasText: "replied" }).waitFor();
  await page.reload();
  assert.deepEqual(await told(), ["en", "New conversation", "Write a message"]);
  const { words, same } = await page.evaluate(async () => {
    const { WORDS } = await import("/page/words.js");
    return { words: Object.values(WORDS).map((language) => Object.keys(language).sort().join()), same: Object.keys(WORDS) };
  });
  assert.deepEqual(same, ["en", "zh"]);
  assert.equal(words[0], words[1]);
});

test("a phone shows one thing at a time and never scrolls sideways", async (t) => {
  const { url } = await serve(t, example("weather"));
  for (const width of [320, 390]) {
    const page = await talked(t, url, { ...PHONE, viewport: { width, height: 640 } });
    const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.deepEqual([await page.locator("#inspector").isVisible(), await isWide()], [false, false]);
    await page.locator("#inspect").click();
    assert.deepEqual([await page.locator("#chat").isVisible(), await isWide()], [false, false]);
    await page.close();
  }
});

test("word of new messages stands above the composer, however much is being written", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url, { viewport: { width: 1000, height: 500 } });
  for (let n = 0; n < 4; n += 1) await say(page, "hello");
  await page.locator("#text").fill("a line\n".repeat(30));
  await page.locator("#scroller").evaluate((scroller) => (scroller.scrollTop = 0));
  const id = await page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get("c"));
  const said = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: "thanks" }) };
  await fetch(`${url}/v1/conversations/${id}/messages`, said);
  await page.locator("#latest").waitFor();
  const place = (selector) => page.locator(selector).boundingBox();
  const [latest, composer] = [await place("#latest"), await place("#composer")];
  assert.ok(latest.y + latest.height <= composer.y, `${latest.y} + ${latest.height} is beyond ${composer.y}`);
  await page.locator("#latest").click();
  assert.equal(await page.locator("#latest").isVisible(), false);
});

test("everything can be done with the keyboard alone", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await talked(t, url, { viewport: { width: 1000, height: 720 } });
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
  await page.reload();
  await page.locator("#messages .bot").last().waitFor();
  assert.equal(await focused(), "text");
  const stops = [];
  for (await page.locator(".skip").focus(); await page.evaluate(() => document.activeElement !== document.body); await page.keyboard.press("Tab")) {
    stops.push(await focused());
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(ring, "none", `${stops.at(-1)} does not show that it has the focus`);
  }
  assert.deepEqual(stops.slice(0, 5), ["skip", "open-list", "language", "theme", "inspect"]);
  for (const stop of ["scroller", "why", "text", "send"]) assert.ok(stops.includes(stop), `${stop} is not among ${stops}`);

  await page.locator("#open-list").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#new").isVisible(), true);
  await page.keyboard.press("Escape");
  assert.deepEqual([await page.locator("#new").isVisible(), await focused()], [false, "open-list"]);
});

test("a screen reader hears each new answer once, and none of an old conversation", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  const heard = () => page.evaluate(() => window.heard);
  const listen = () =>
    page.evaluate(() => {
      window.heard = [];
      const live = document.querySelector("[aria-live]");
      new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => window.heard.push(node.textContent)))).observe(live, { childList: true });
    });
  await listen();
  await say(page, "thanks");
  await say(page, "bye");
  assert.deepEqual(await heard(), ["You are welcome!", "Goodbye!"]);
  await page.reload();
  await listen();
  await until(page, () => document.querySelectorAll("#messages .bot").length === 2);
  assert.deepEqual(await heard(), []);
});

test("the page is light, asks nobody else for anything, and is painted at once", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  const sizes = await page.evaluate(() =>
    performance.getEntries().filter((entry) => entry.entryType === "navigation" || /\/page\//.test(entry.name)).map((entry) => entry.decodedBodySize));
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${sizes.length} files, ${whole} bytes`);
  assert.ok(sizes.length === 13 && whole < MOST_BYTES, `${sizes.length} files of ${whole} bytes`);

  // Noise of the machine only ever adds to a paint, so the best of some is what a paint takes; and what a paint of nothing takes
  // there, without a graphics card, beside whatever else runs, is not the page's.
  const nothing = createServer((_, response) => response.end("<!doctype html><title>Nothing</title><p>Nothing"));
  await new Promise((done) => nothing.listen(0, "127.0.0.1", done));
  t.after(() => (nothing.closeAllConnections(), nothing.close()));
  const paint = async (address) => {
    await page.goto("about:blank");
    await page.goto(address);
    const entry = await until(page, () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    return Math.round(await entry.jsonValue());
  };
  const [painted, bare] = [[], []];
  for (let n = 0; n < 9; n += 1) {
    painted.push(await paint(url));
    bare.push(await paint(`http://127.0.0.1:${nothing.address().port}`));
  }
  t.diagnostic(`first paints: ${painted.join(", ")} ms; of a page with nothing on it ${bare.join(", ")} ms`);
  const took = Math.min(...painted) - Math.min(...bare);
  assert.ok(Math.min(...painted) < PAINTED || took < PAINTED / 2, `it takes ${painted} ms at best, and nothing takes ${bare}`);
  assert.deepEqual([page.strangers, page.complaints], [[], []]);
});

test("the browser is told to run nothing but the page's own files", async (t) => {
  const { url } = await serve(t, example("weather"));
  const answer = await fetch(url, { headers: { accept: "text/html" } });
  const policy = answer.headers.get("content-security-policy");
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.split("; ").includes(part), policy);
  }
  const page = await open(t, url);
  await page.evaluate(() => document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" })));
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.match(page.complaints.join(), /Content Security Policy/);
});
