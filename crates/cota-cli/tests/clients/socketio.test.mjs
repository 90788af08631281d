// Socket.IO as npm's clients speak it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";
import { io as io3 } from "socket.io-client-3";
import { WebSocket } from "ws";

const QUESTION = "what is the weather in Oslo?";
const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
/** Only catches a hang. */
const timeout = 60_000;

/** `cota run` with the weather bot. */
async function serve(t, { port = 0, store = "memory" } = {}) {
  const bot = path.join(process.env.COTA_EXAMPLES, "weather");
  const options = ["--port", String(port), "--store", store, "--log-level", "warn"];
  const child = spawn(process.env.COTA_BIN, ["run", bot, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  const url = line.match(/http:\/\/\S+/)[0];
  return { url, port: new URL(url).port, stop: (signal) => (child.kill(signal), ended) };
}

/** A client that keeps the events it gets until they are asked for. */
function connect(t, url, options = {}, open = io) {
  const socket = open(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  const events = [];
  let wake = () => {};
  socket.onAny((name, content) => {
    events.push([name, content]);
    wake();
  });
  t.after(() => socket.close());
  /** The next event; it has to have this name. */
  socket.next = async (wanted) => {
    while (events.length === 0) await new Promise((resolve) => (wake = resolve));
    const [name, content] = events.shift();
    assert.equal(name, wanted, JSON.stringify(content));
    return content;
  };
  /** The next event like this; others before it are passed over. */
  socket.until = async (wanted, is) => {
    for (;;) {
      while (events.length === 0) await new Promise((resolve) => (wake = resolve));
      const [name, content] = events.shift();
      if (name === wanted && is(content)) return content;
    }
  };
  socket.waiting = events;
  return socket;
}

/** When the client has come back. Tries that fail before are no errors. */
const reconnected = (socket) => new Promise((resolve) => socket.io.once("reconnect", resolve));

const asked = (socket, name, content) => socket.timeout(timeout).emitWithAck(name, content);

for (const [name, open] of [["4", io], ["3", io3]]) {
  for (const transports of TRANSPORTS) {
    test(`client ${name}: a conversation in Rasa's words over ${transports.join(" and ")}`, { timeout }, async (t) => {
      const { url } = await serve(t);
      const socket = connect(t, url, { transports }, open);
      await once(socket, "connect");
      if (transports.length > 1 && socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
      assert.equal(socket.io.engine.transport.name, transports.at(-1));
      socket.emit("session_request", { session_id: "trip" });
      await socket.next("login");
      assert.equal(await socket.next("session_confirm"), "trip");
      const answer = await new Promise((resolve) => socket.emit("user_uttered", { message: QUESTION, session_id: "trip" }, resolve));
      assert.deepEqual([answer.status, answer.session_id], ["ok", "trip"]);
      assert.match((await socket.next("bot_uttered")).text, /which day/i);
      socket.emit("user_uttered", { message: "tomorrow", session_id: "trip" });
      assert.match((await socket.next("bot_uttered")).text, /Oslo, tomorrow/);
      assert.deepEqual(socket.waiting, []);
    });
  }
}

test("what is said while the transport changes comes once and in order", { timeout }, async (t) => {
  const { url } = await serve(t);
  const socket = connect(t, url);
  const texts = Array.from({ length: 30 }, (_, n) => `word ${n}`);
  socket.emit("join", { session_id: "s", sender_id: "ana" });
  for (const text of texts) socket.emit("message", { session_id: "s", text });
  await socket.next("login");
  await socket.next("join_confirm");
  const said = [];
  let refused = 0;
  while (said.length + refused < texts.length) {
    while (socket.waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [name, content] = socket.waiting.shift();
    if (name === "bot_uttered" && content.sender === "user") said.push(content.text);
    if (name === "error") refused += 1;
  }
  // A full queue refuses some in between: what is left stands in the order it was said, and once.
  const places = said.map((text) => texts.indexOf(text));
  assert.ok(places.every((place, n) => place > (places[n - 1] ?? -1)), `out of order: ${said.join(", ")}`);
  assert.ok(said.length > 0);
});

test("people and the bot in one room, in COTA's words", { timeout }, async (t) => {
  const { url } = await serve(t);
  const [ana, bo] = [connect(t, url, { transports: ["websocket"] }), connect(t, url, { transports: ["polling"] })];
  assert.deepEqual(await asked(ana, "login", { user_id: "ana" }), { status: "ok" });
  assert.equal((await ana.next("login")).user_id, "ana");
  ana.emit("join", { session_id: "room", sender_id: "ana" });
  assert.equal((await ana.next("join_confirm")).room_info.user_count, 1);
  bo.emit("join", { session_id: "room", sender_id: "bo" });
  await bo.next("login");
  assert.equal((await bo.next("join_confirm")).room_info.user_count, 2);
  assert.equal((await ana.next("user_joined")).user_id, "bo");
  const answer = await asked(bo, "message", { type: "text", session_id: "room", sender_id: "bo", text: QUESTION, message_id: "m1" });
  assert.deepEqual(answer, { status: "ok", message_id: "m1", session_id: "room" });
  for (const socket of [ana, bo]) {
    const [own, reply] = [await socket.next("bot_uttered"), await socket.next("bot_uttered")];
    assert.deepEqual([own.sender, own.text, reply.sender, reply.reply_to], ["user", QUESTION, "bot", "m1"]);
  }
  bo.close();
  assert.equal((await ana.next("user_left")).user_id, "bo");
});

for (const transports of TRANSPORTS) {
  test(`who comes back gets what was missed over ${transports.join(" and ")}`, { timeout }, async (t) => {
    const { url } = await serve(t);
    const [ana, bo] = [connect(t, url, { transports }), connect(t, url, { transports: ["websocket"] })];
    ana.emit("join", { session_id: "s", sender_id: "ana" });
    await ana.next("login");
    await ana.next("join_confirm");
    ana.emit("message", { session_id: "s", text: QUESTION });
    await ana.next("bot_uttered");
    const { seq } = await ana.next("bot_uttered");
    const back = reconnected(ana);
    ana.io.engine.close();
    await asked(bo, "join", { session_id: "s", sender_id: "bo" });
    await asked(bo, "message", { session_id: "s", text: "tomorrow" });
    await bo.until("bot_uttered", (content) => content.sender === "bot");
    await back;
    ana.emit("join", { session_id: "s", sender_id: "ana", after: seq });
    await ana.next("login");
    await ana.next("join_confirm");
    assert.equal((await ana.next("bot_uttered")).text, "tomorrow");
    assert.match((await ana.next("bot_uttered")).text, /Oslo, tomorrow/);
  });
}

test("a client comes back by itself when the server does", { timeout }, async (t) => {
  const first = await serve(t);
  const sockets = TRANSPORTS.map((transports) => connect(t, first.url, { transports }));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const gone = sockets.map((socket) => once(socket, "disconnect"));
  const back = sockets.map(reconnected);
  const [code] = await first.stop("SIGTERM");
  assert.equal(code, 0, "an end with clients is a good end");
  for (const [reason] of await Promise.all(gone)) assert.match(reason, /transport (close|error)/);
  await serve(t, { port: first.port });
  await Promise.all(back);
  for (const socket of sockets) assert.equal((await asked(socket, "session_request", { session_id: "s" })).status, "ok");
});

test("a server that ends lets a client change its transport first", { timeout }, async (t) => {
  const { url, stop } = await serve(t);
  const other = connect(t, url, { transports: ["websocket"], reconnection: false });
  await once(other, "connect");
  const address = `${url}/socket.io/?EIO=4`;
  const { sid } = JSON.parse((await (await fetch(`${address}&transport=polling`)).text()).slice(1));
  const poll = fetch(`${address}&transport=polling&sid=${sid}`);
  const socket = new WebSocket(`${address.replace("http", "ws")}&transport=websocket&sid=${sid}`);
  await once(socket, "open");
  socket.send("2probe");
  assert.equal(String((await once(socket, "message"))[0]), "3probe");
  assert.equal(await (await poll).text(), "6");
  // The client stops polling now, and would hear of no end but that of the socket that it has changed to.
  const gone = once(other, "disconnect");
  const ended = stop("SIGTERM");
  await gone;
  await sleep(200);
  assert.equal(socket.readyState, WebSocket.OPEN);
  const closed = once(socket, "close");
  socket.send("5");
  await closed;
  assert.equal((await ended)[0], 0);
});

test("what cannot be taken is refused", { timeout }, async (t) => {
  const { url } = await serve(t);
  for (const transports of TRANSPORTS) {
    const socket = connect(t, url, { transports });
    const binary = await asked(socket, "message", { session_id: "s", text: Buffer.from([1, 2, 3]) });
    assert.deepEqual([binary.status, binary.code], ["error", "bad_frame"]);
    assert.equal((await asked(socket, "dance", {})).code, "unknown_type");
    socket.emit("join", { session_id: "a b" });
    assert.equal((await socket.next("join_error")).code, "bad_frame");
    const gone = once(socket, "disconnect");
    socket.emit("message", { session_id: "s", text: "x".repeat(70_000) });
    assert.match((await gone)[0], /transport (close|error)/);
  }
});

test("no other namespace, no foreign page, no wrong bot", { timeout }, async (t) => {
  const { url } = await serve(t);
  const [other] = await once(connect(t, `${url}/admin`), "connect_error");
  assert.equal(other.message, "Invalid namespace");
  for (const options of [{ extraHeaders: { origin: "https://evil.example" } }, { query: { bot: "nobody" } }]) {
    for (const transports of [["polling"], ["websocket"]]) {
      const socket = connect(t, url, { transports, reconnection: false, ...options });
      const [refused] = await once(socket, "connect_error");
      assert.match(refused.message, /xhr poll error|websocket error/);
    }
  }
});

test("a page of this machine may poll from another port", { timeout }, async (t) => {
  const { url } = await serve(t);
  const address = `${url}/socket.io/?EIO=4&transport=polling`;
  const origin = "http://localhost:3000";
  const opened = await fetch(address, { headers: { origin } });
  assert.deepEqual([opened.status, opened.headers.get("access-control-allow-origin")], [200, origin]);
  assert.equal(opened.headers.get("access-control-allow-credentials"), null);
  const preflight = await fetch(address, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-origin")], [204, origin]);
  assert.match(preflight.headers.get("access-control-allow-methods"), /\bGET, POST\b/);
  const foreign = await fetch(address, { headers: { origin: "https://evil.example" } });
  assert.deepEqual([foreign.status, foreign.headers.get("access-control-allow-origin")], [403, null]);
});

test("requests that the protocol does not know are refused as it says", { timeout }, async (t) => {
  const { url } = await serve(t);
  const ask = (query, options) => fetch(`${url}/socket.io/${query}`, options);
  for (const [query, method, code] of [
    ["?transport=polling", "GET", 5],
    ["?EIO=abc&transport=polling", "GET", 5],
    ["?EIO=4", "GET", 0],
    ["?EIO=4&transport=abc", "GET", 0],
    ["?EIO=4&transport=polling", "POST", 2],
    ["?EIO=4&transport=polling", "PUT", 2],
    ["?EIO=4&transport=polling&sid=unknown", "GET", 1],
    ["?EIO=4&transport=polling&sid=unknown", "POST", 1],
    ["?EIO=4&transport=websocket", "GET", 3],
  ]) {
    const answer = await ask(query, { method });
    assert.deepEqual([answer.status, (await answer.json()).code], [400, code], `${method} ${query}`);
  }
  const { sid } = JSON.parse((await (await ask("?EIO=4&transport=polling")).text()).slice(1));
  const of = `?EIO=4&transport=polling&sid=${sid}`;
  assert.equal((await ask(of, { method: "POST", body: "40" })).status, 200);
  assert.match(await (await ask(of)).text(), /^40\{"sid":"/);
  const waiting = ask(of);
  await ask(of, { method: "POST", body: "1" });
  assert.equal(await (await waiting).text(), "6");
  assert.equal((await ask(of)).status, 400);
  const { sid: next } = JSON.parse((await (await ask("?EIO=4&transport=polling")).text()).slice(1));
  const large = await ask(`?EIO=4&transport=polling&sid=${next}`, { method: "POST", body: `4${"x".repeat(70_000)}` });
  assert.equal(large.status, 413);
});

/** A socket whose end is waited for, however it comes. */
function socketAt(address) {
  const socket = new WebSocket(address);
  socket.on("error", () => {});
  socket.closed = new Promise((resolve) => socket.on("close", resolve));
  return socket;
}

test("polls and sockets that the published cases end are ended", { timeout }, async (t) => {
  const { url } = await serve(t);
  const [polling, sockets] = [`${url}/socket.io/?EIO=4&transport=polling`, `${url.replace("http", "ws")}/socket.io/`];
  const opened = async () => JSON.parse((await (await fetch(polling)).text()).slice(1)).sid;
  const poll = (sid, options) => fetch(`${polling}&sid=${sid}`, options);

  for (const query of ["?transport=websocket", "?EIO=abc&transport=websocket", "?EIO=4", "?EIO=4&transport=abc"]) await socketAt(sockets + query).closed;
  const twice = await opened();
  const both = await Promise.all([poll(twice), poll(twice)]);
  both.sort((one, other) => one.status - other.status);
  assert.deepEqual([both[0].status, await both[0].text(), both[1].status], [200, "1", 400]);
  assert.equal((await poll(twice)).status, 400);

  const cancelled = await opened();
  const ending = new AbortController();
  const cut = poll(cancelled, { signal: ending.signal }).catch(() => {});
  // Until it waits at the server, however busy that is.
  await sleep(500);
  ending.abort();
  await cut;
  assert.equal((await poll(cancelled)).status, 400);

  const changed = await opened();
  const socket = socketAt(`${sockets}?EIO=4&transport=websocket&sid=${changed}`);
  await once(socket, "open");
  socket.send("2probe");
  assert.equal(String((await once(socket, "message"))[0]), "3probe");
  assert.equal(await (await poll(changed)).text(), "6");
  socket.send("5");
  socket.send("40");
  assert.match(String((await once(socket, "message"))[0]), /^40\{"sid":/);
  assert.equal((await poll(changed)).status, 400);
  await socketAt(`${sockets}?EIO=4&transport=websocket&sid=${changed}`).closed;
  socket.send('421["session_request",{}]');
  assert.match(String((await once(socket, "message"))[0]), /^4/);
  for (const frame of ["abc", "4abc", "42{}", '42abc["message",{}]', "1"]) {
    const broken = socketAt(`${sockets}?EIO=4&transport=websocket`);
    await once(broken, "message");
    broken.send(frame);
    await broken.closed;
  }
});
