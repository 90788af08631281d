// Whoever waits for the script is answered, even where it panics.
//
// A panic ends the instance of the script, and with it whatever would have settled the promises that it gave. The next event begins
// a new instance (worker-build sees to that), but those who wait for the old one would wait for ever, whatever it was that panicked:
// all objects of an isolate share the instance. So each handler races what the instance promised against the instance's end.

import "./index.js";

/** As a client is told it: a problem of `cota_protocol`. Whatever was acknowledged is on disk, so the same may be sent again. */
const PROBLEM = {
  title: "Service Unavailable",
  status: 503,
  code: "store_unavailable",
  detail: "the Worker begins anew after a fault of its own; send the same again, with the same message_id",
  retry_after: 1,
};

/** As `cota_gateway` puts them on its answers. */
const SECURITY = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
};

/** The code that a socket is closed with whose server begins anew. */
const RESTARTED = 1012;

/** This machine's own names. */
const LOOPBACK = /^(.+\.)?localhost$|^127\.|^\[::1\]$/;

/** Bodies that go on after the handler has answered. */
const ENDLESS = ["text/event-stream", "application/x-ndjson"];

/** Ends the wait of each call that the instance has not answered yet. */
const waits = new Set();

/** Where the `worker` crate notes that its instance has panicked; noting that it has begun anew, too, is its own business. */
const instance = globalThis.__worker_init_state;
let ended = instance.criticalError;
Object.defineProperty(instance, "criticalError", {
  get: () => ended,
  set(value) {
    ended = value;
    if (!ended) return;
    for (const end of waits) end();
    waits.clear();
  },
});

/** What `call` gives; what `otherwise` gives, where the instance ends before that. */
async function answered(call, otherwise) {
  let end;
  // `otherwise` is called where this waits and not where the panic was: each event may only touch what is its own.
  const ending = new Promise((resolve) => (end = resolve)).then(otherwise);
  waits.add(end);
  try {
    return await Promise.race([call(), ending]);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return otherwise();
    throw error;
  } finally {
    waits.delete(end);
  }
}

/** The 503, with the headers that every answer has. */
function unavailable(request) {
  const headers = new Headers(SECURITY);
  headers.set("content-type", "application/problem+json");
  headers.set("retry-after", String(PROBLEM.retry_after));
  const origin = request.headers.get("origin");
  if (origin && mayRead(origin, request, this.env)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-expose-headers", "retry-after");
    headers.set("vary", "origin");
  }
  return new Response(JSON.stringify(PROBLEM), { status: PROBLEM.status, headers });
}

/** Whether a page of this origin may use the Worker: as the gateway decides it (cota_gateway::origin). */
function mayRead(origin, request, env) {
  if (!URL.canParse(origin)) return false;
  const [page, own] = [new URL(origin), new URL(request.url)];
  const names = String(env.COTA_ALLOW_HOSTS ?? "").split(",").map((name) => name.trim().toLowerCase());
  return page.host === own.host || LOOPBACK.test(page.hostname) || [own.hostname, ...names].includes(page.hostname);
}

function fails() {
  throw new Error("the instance that was to answer has panicked");
}

/** The response with a body that breaks off with the instance, where it goes on: its reader then asks again. */
function mortalBody(response) {
  if (!ENDLESS.includes(response.headers.get("content-type")) || !response.body) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await answered(() => reader.read(), fails);
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}

/** Lets a socket that the script itself holds end with the instance: its client then connects again. */
globalThis.closeWithInstance = (socket) => {
  let end;
  new Promise((resolve) => (end = resolve)).then(() => socket.close(RESTARTED, PROBLEM.detail));
  waits.add(end);
  socket.addEventListener("close", () => waits.delete(end));
};

/** The error frame for what a client sent, on the socket it came from. */
function refuse(socket, message) {
  const { code, detail, retry_after } = PROBLEM;
  socket.send(JSON.stringify({ type: "error", code, message: detail, retry_after, message_id: idOf(message) }));
}

function idOf(message) {
  try {
    return JSON.parse(message).message_id;
  } catch {
    return undefined;
  }
}

/** What each handler does in place of an instance that has ended. An alarm that fails is rung again by the platform. */
const OTHERWISE = {
  fetch: unavailable,
  alarm: fails,
  webSocketMessage: refuse,
  webSocketClose: () => {},
  webSocketError: () => {},
};

/** The same class, whose handlers are answered in any case. */
export function mortal(Base) {
  class Mortal extends Base {}
  for (const [name, otherwise] of Object.entries(OTHERWISE)) {
    const handler = Base.prototype[name];
    if (!handler) continue;
    Mortal.prototype[name] = function (...given) {
      const answer = answered(() => handler.apply(this, given), () => otherwise.apply(this, given));
      return name === "fetch" ? answer.then(mortalBody) : answer;
    };
  }
  return Mortal;
}
