// JSON Web Tokens as Node's own cryptography signs them: from a file of keys and from an address, and those that prove nothing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { WebSocket } from "ws";

/** Only catches a hang. */
const timeout = 60_000;
const NOW = Math.floor(Date.now() / 1000);
const CLAIMS = { sub: "ana", iss: "https://issuer.example", aud: "bots", exp: NOW + 3600, scope: "chat" };

/** A pair of keys: `jwk` for everybody, `token(claims, header)` signed with it. */
function pair(alg, kid) {
  const isRsa = alg === "RS256";
  const { publicKey, privateKey } = isRsa ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  const key = isRsa ? privateKey : { key: privateKey, dsaEncoding: "ieee-p1363" };
  const token = (claims, header = {}) => signed({ alg, kid, typ: "JWT", ...header }, claims, (text) => sign("sha256", Buffer.from(text), key));
  return { jwk, publicKey, token };
}

function signed(header, claims, signature) {
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${signature(text).toString("base64url")}`;
}

/** `cota run` that takes tokens of these keys. */
async function serve(t, jwks) {
  const bot = path.join(process.env.COTA_EXAMPLES, "weather");
  const options = ["--port", "0", "--store", "memory", "--log-level", "error", "--jwks", jwks, "--jwt-issuer", CLAIMS.iss, "--jwt-audience", CLAIMS.aud];
  const child = spawn(process.env.COTA_BIN, ["run", bot, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  return line.match(/http:\/\/\S+/)[0];
}

/** The status of saying something with a token. */
async function status(url, token) {
  const headers = { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${url}/v1/conversations/c1/messages`, { method: "POST", headers, body: JSON.stringify({ text: "hello" }) });
  const told = await answer.text();
  assert.ok(!token || !told.includes(token), "a proof is not repeated");
  return answer.status;
}

test("tokens of a file of keys, and all that are none", { timeout }, async (t) => {
  const [rsa, ec, foreign] = [pair("RS256", "r1"), pair("ES256", "e1"), pair("RS256", "r1")];
  const folder = mkdtempSync(path.join(tmpdir(), "cota-keys-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "keys.json");
  writeFileSync(file, JSON.stringify({ keys: [rsa.jwk, ec.jwk] }));
  const url = await serve(t, file);
  for (const good of [rsa.token(CLAIMS), ec.token(CLAIMS), ec.token({ ...CLAIMS, aud: ["others", "bots"], nbf: NOW - 10 })]) assert.equal(await status(url, good), 200);
  // The key that everybody knows is no secret to sign with.
  const secret = rsa.publicKey.export({ format: "pem", type: "spki" });
  const hmac = (text) => createHmac("sha256", secret).update(text).digest();
  const { sub, ...nobody } = CLAIMS;
  for (const [what, bad] of Object.entries({
    nothing: undefined,
    expired: ec.token({ ...CLAIMS, exp: NOW - 3600 }),
    "not good yet": ec.token({ ...CLAIMS, nbf: NOW + 3600 }),
    "of another issuer": ec.token({ ...CLAIMS, iss: "https://evil.example" }),
    "for somebody else": ec.token({ ...CLAIMS, aud: "shop" }),
    "of nobody": ec.token(nobody),
    "without an end": ec.token({ ...CLAIMS, exp: undefined }),
    "of another key by the same name": foreign.token(CLAIMS),
    "of a key that nobody knows": ec.token(CLAIMS, { kid: "e2" }),
    "without a signature": signed({ alg: "none" }, CLAIMS, () => Buffer.alloc(0)),
    "signed with the public key": signed({ alg: "HS256", kid: "r1" }, CLAIMS, hmac),
    "of another algorithm": rsa.token(CLAIMS, { alg: "ES256" }),
    "with a critical extension": ec.token(CLAIMS, { crit: ["x"], x: 1 }),
    changed: ec.token(CLAIMS).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...CLAIMS, sub: "bo" })).toString("base64url")}.`),
  })) assert.equal(await status(url, bad), 401, what);
  // A socket cannot send it as a header, and takes a ticket that it was given for.
  const made = await fetch(`${url}/v1/tickets`, { method: "POST", headers: { authorization: `Bearer ${ec.token(CLAIMS)}` } });
  const { ticket } = await made.json();
  const [frame] = await once(new WebSocket(`${url.replace("http", "ws")}/websocket?ticket=${ticket}`), "message");
  assert.equal(JSON.parse(frame).sender_id, "ana");
});

test("tokens of keys at an address, which change", { timeout }, async (t) => {
  const [old, fresh] = [pair("ES256", "k1"), pair("RS256", "k2")];
  const state = { keys: [old.jwk], asked: 0 };
  const issuer = createServer((_, response) => {
    state.asked += 1;
    response.end(JSON.stringify({ keys: state.keys }));
  });
  await new Promise((done) => issuer.listen(0, "127.0.0.1", done));
  t.after(() => (issuer.closeAllConnections(), issuer.close()));
  const url = await serve(t, `http://127.0.0.1:${issuer.address().port}/jwks.json`);
  for (let n = 0; n < 5; n += 1) assert.equal(await status(url, old.token(CLAIMS)), 200);
  assert.equal(state.asked, 1, "a key set is not fetched for each request");
  for (let n = 0; n < 5; n += 1) assert.equal(await status(url, fresh.token(CLAIMS)), 401);
  assert.ok(state.asked <= 2, `who makes up names of keys keeps nobody busy: ${state.asked}`);
});
