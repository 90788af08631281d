// What the tests of the page share: the real server, a scripted model, a line that can be cut, a browser.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import net from "node:net";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const TESTS = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(TESTS, "../../../..");
/** Only catches a hang. */
const LIMIT = 60_000;

export const screenshots = process.env.COTA_SCREENSHOTS ?? path.join(ROOT, "target/screenshots");
mkdirSync(screenshots, { recursive: true });

/** A folder that is gone after the test. */
export function folder(t) {
  const made = mkdtempSync(path.join(tmpdir(), "cota-page-"));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The folder of an example bot, of a bot of the tests, or of a copy of one with other files. */
export const example = (name) => path.join(ROOT, "examples", name);
export const bot = (name) => path.join(TESTS, "../bots", name);
export function changed(t, of, files) {
  const copy = path.join(folder(t), path.basename(of));
  cpSync(of, copy, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(copy, name), text);
  return copy;
}

/** `cota run` as a child process. `stop()` is as hard as `kill -9`. */
export async function serve(t, bots, { store = "memory", port = 0, llm, secret } = {}) {
  const child = spawn(process.env.COTA_BIN, ["run", ...[bots].flat(), "--port", port, "--store", store, "--log-level", "warn"], {
    cwd: folder(t),
    env: { ...process.env, COTA_TEST_LLM: llm?.apibase ?? "http://127.0.0.1:9/v1", ...(secret && { COTA_JWT_SECRET: secret }) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  };
  t.after(stop);
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
    if (found) return { url: `http://127.0.0.1:${found[1]}`, port: Number(found[1]), stop };
  }
  throw new Error("the server ended before it listened");
}

/** A model behind a real socket. `say(call)` gives the text; `hold()` stops each answer, a streamed one after some pieces, until `go()`. */
export async function model(t, say) {
  let gate = Promise.resolve();
  let open = () => {};
  const state = { calls: 0, held: 0 };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    state.calls += 1;
    const { messages, stream } = JSON.parse(body);
    const prompt = messages.map((message) => message.content).join("\n");
    const isChoice = prompt.includes("Choose the next action");
    const content = JSON.stringify(isChoice ? { thought: "words are next", action: "BotUtter" } : { thought: "they want words", text: say(prompt) });
    const usage = { prompt_tokens: 321, completion_tokens: 45, total_tokens: 366 };
    if (!stream) {
      if (!isChoice) await gate;
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }], usage }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (chunk) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    const pieces = content.match(/.{1,6}/gsu);
    for (const [n, piece] of pieces.entries()) {
      if (!isChoice && n === Math.floor(pieces.length * 0.7)) {
        state.held += 1;
        await gate;
      }
      send({ choices: [{ index: 0, delta: { content: piece } }] });
      await new Promise((done) => setTimeout(done, 4));
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    send({ choices: [], usage });
    response.end("data: [DONE]\n\n");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    open();
    server.closeAllConnections();
    server.close();
  });
  return {
    apibase: `http://127.0.0.1:${server.address().port}/v1`,
    state,
    hold: () => (gate = new Promise((done) => (open = done))),
    go: () => open(),
  };
}

/** A line between browser and server that can be cut, closed and opened again. */
export async function wire(t, target) {
  const sockets = new Set();
  const state = { isUp: true, port: target };
  const server = net.createServer((near) => {
    if (!state.isUp) return near.destroy();
    const far = net.connect(state.port, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => (sockets.delete(one), other.destroy()));
      one.pipe(other);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  t.after(() => {
    cut();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    down: () => ((state.isUp = false), cut()),
    up: () => (state.isUp = true),
  };
}

let browser;
/** The page, once it is connected, in a browser profile of its own. */
export async function open(t, url, options) {
  const page = await start(t, options);
  await page.goto(url);
  await page.locator("#state.open").waitFor();
  return page;
}

/** An empty page in a profile of its own. What the browser complains about ends up in `page.complaints`. */
export async function start(t, options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.COTA_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1360, height: 840 }, ...options });
  context.setDefaultTimeout(LIMIT);
  t.after(() => context.close());
  const page = await context.newPage();
  watch(page);
  return page;
}

function watch(page) {
  page.complaints = [];
  page.strangers = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("dialog", (dialog) => (page.complaints.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("console", (message) => {
    const isLost = /Failed to load resource|WebSocket connection/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isLost) page.complaints.push(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.hostname !== "127.0.0.1") page.strangers.push(request.url());
  });
}

export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

/** Writes a message and presses Enter. */
export async function write(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
}

/** Says something and waits for the committed answer, which it returns. */
export async function say(page, text) {
  const answers = page.locator("#messages .bot:not(.live)");
  const before = await answers.count();
  await write(page, text);
  await answers.nth(before).waitFor();
  return answers.nth(before).locator(".body").innerText();
}

/** Everything on the screen of the chat, in order: `who: text`. */
export async function transcript(page) {
  return page.locator("#messages > li").evaluateAll((items) =>
    items.map((item) => `${item.classList.contains("bot") ? "bot" : item.className.split(" ")[0]}: ${item.querySelector(".body").textContent}`));
}

/** Waits until something is so in the page. */
export const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: LIMIT });

/** The record of the conversation that the page shows. */
export async function record(page) {
  return page.evaluate(async () => {
    const id = new URLSearchParams(location.hash.slice(1)).get("c");
    return (await (await fetch(`v1/conversations/${id}/events?limit=1000`)).json()).events;
  });
}

export const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

/** What breaks one of axe's rules, best practices among them. */
export async function faults(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
}

export const shoot = (page, name) => page.screenshot({ path: path.join(screenshots, `${name}.png`) });

export const SECRET = "a secret of the tests that is long enough for HS256";

/** A JSON Web Token, good for an hour. */
export function token(claims) {
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

export async function signIn(page, key) {
  await page.locator("#sign-in").waitFor();
  await page.locator("#key").fill(key);
  await page.locator("#key").press("Enter");
}
