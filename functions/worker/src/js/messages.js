// Requests and answers, across the border between the runtime and the script. Each crossing costs as much as a small step of the
// script itself, so a message crosses as a whole: its headers as one text, and its body as bytes wherever that is short. Bytes that
// the script gives are in its memory, so they are copied before anything else happens.

/** Bodies that are known to be no longer than this are read at once; others are passed on as they come. */
const SHORT = 256 * 1024;

/** A request that came in: its method, address, headers and body. */
export async function taken(request) {
  return [request.method, request.url, written(request.headers), await body(request)];
}

/** The response of this status, with these headers and a body that is there. */
export function answer(status, headers, bytes) {
  return new Response(bytes.length ? bytes.slice() : null, { status, headers: pairs(headers) });
}

/** Asks a server: the status, headers and body of its answer. No redirect is followed. */
export async function exchange(method, url, headers, bytes, signal) {
  const init = { method, headers: pairs(headers), redirect: "manual", signal };
  if (bytes.length) init.body = bytes.slice();
  const response = await fetch(url, init);
  return [response.status, written(response.headers), await body(response)];
}

/** Asks the object of a name: the status and body of its answer, which is short unless it comes in lines. */
export async function ask(objects, name, url, text) {
  const response = await objects.getByName(name).fetch(url, { method: "POST", body: text });
  const goesOn = response.headers.get("content-type") === "application/x-ndjson";
  return [response.status, goesOn ? response.body : new Uint8Array(await response.arrayBuffer())];
}

/** Nothing, bytes, or a stream of them. */
async function body(message) {
  const { headers } = message;
  const length = headers.has("content-encoding") ? NaN : Number(headers.get("content-length") ?? NaN);
  if (length === 0) return null;
  // For whoever looks at `body` the runtime makes a stream, so nobody does where the length is known.
  return length <= SHORT ? new Uint8Array(await message.arrayBuffer()) : message.body;
}

/** Names and values by turns, each in a line of its own: no header has a line break in it. */
function written(headers) {
  let lines = "";
  for (const [name, value] of headers) lines += `${name}\n${value}\n`;
  return lines;
}

function pairs(lines) {
  const words = lines.split("\n");
  const headers = [];
  for (let at = 0; at + 1 < words.length; at += 2) headers.push([words[at], words[at + 1]]);
  return headers;
}
