// Signing in, as a server with identity asks for it. What stands between page and server here refuses what has no key.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import axe from "axe-core";
import { closeBrowser, example, say, serve, shoot, start, until } from "./support.mjs";

after(closeBrowser);

/** A JSON Web Token that says who speaks; nobody checks it here. */
const part = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
const TOKEN = `${part({ alg: "HS256" })}.${part({ sub: "zoë" })}.c2ln`;

/** Refuses requests without `key` and sockets without an unused ticket. */
async function guard(page, key) {
  const seen = { tickets: [], sockets: [] };
  await page.route("**/v1/**", async (route) => {
    const request = route.request();
    if ((await request.headerValue("authorization")) !== `Bearer ${key}`) {
      return route.fulfill({ status: 401, contentType: "application/problem+json", body: JSON.stringify({ status: 401, code: "unauthorized" }) });
    }
    if (!request.url().includes("/v1/tickets")) return route.continue();
    const ticket = `ticket-${seen.tickets.length}`;
    seen.tickets.push(ticket);
    return route.fulfill({ status: 200, contentType: "application/json", body: JSON.stringify({ ticket }) });
  });
  await page.routeWebSocket(/\/websocket/, (socket) => {
    const { searchParams } = new URL(socket.url());
    seen.sockets.push({ ticket: searchParams.get("ticket"), sender: searchParams.get("sender_id") });
    if (seen.tickets.includes(searchParams.get("ticket"))) socket.connectToServer();
    else socket.close();
  });
  return seen;
}

test("a server that wants to know who speaks is told, and its sockets get a new ticket each", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await start(t);
  const seen = await guard(page, TOKEN);
  await page.goto(url);
  await page.locator("#sign-in").waitFor();
  await page.evaluate(axe.source);
  assert.deepEqual(await page.evaluate(async () => (await window.axe.run()).violations.map((fault) => fault.id)), []);
  await shoot(page, "sign-in");

  await page.locator("#key").fill("a wrong key");
  await page.locator("#key").press("Enter");
  await page.getByText("This key was not accepted.").waitFor();
  await page.locator("#key").fill(TOKEN);
  await page.locator("#key").press("Enter");
  await page.locator("#state.open").waitFor();
  assert.equal(await say(page, "thanks"), "You are welcome!");
  await page.locator(".turn .sum", { hasText: "replied" }).waitFor();
  await page.reload();
  await until(page, () => document.querySelectorAll("#messages .bot").length === 1);

  const admitted = seen.sockets.filter((socket) => socket.ticket);
  assert.deepEqual(new Set(admitted.map((socket) => socket.sender)), new Set(["zoë"]));
  assert.equal(new Set(admitted.map((socket) => socket.ticket)).size, admitted.length);
  assert.equal(await page.evaluate((token) => JSON.stringify(localStorage).includes(token), TOKEN), false);
});
