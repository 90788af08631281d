// Signing in, where the server wants to know who speaks.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, test } from "node:test";
import axe from "axe-core";
import { SECRET, closeBrowser, example, folder, say, serve, shoot, signIn, start, token, transcript, until } from "./support.mjs";

after(closeBrowser);

test("with a token, after a wrong one, and every socket with a ticket of its own", async (t) => {
  const { url } = await serve(t, example("weather"), { secret: SECRET });
  const page = await start(t);
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(new URL(socket.url()).searchParams));
  await page.goto(url);
  await page.locator("#sign-in").waitFor();
  await page.evaluate(axe.source);
  assert.deepEqual(await page.evaluate(async () => (await window.axe.run()).violations.map((fault) => fault.id)), []);
  await shoot(page, "sign-in");
  await signIn(page, "a wrong one");
  await page.getByText("This key was not accepted.").waitFor();

  const zoe = token({ sub: "zoë", scope: "chat inspect" });
  await signIn(page, zoe);
  await page.locator("#state.open").waitFor();
  assert.equal(await say(page, "thanks"), "You are welcome!");
  await page.locator(".step .cause").first().waitFor();
  await page.reload();
  await until(page, () => document.querySelectorAll("#messages .bot").length === 1);
  const admitted = sockets.filter((asked) => asked.has("ticket"));
  assert.ok(admitted.length >= 2 && admitted.every((asked) => asked.get("sender_id") === "zoë"));
  assert.equal(new Set(admitted.map((asked) => asked.get("ticket"))).size, admitted.length);
  assert.equal(await page.evaluate((token) => JSON.stringify(localStorage).includes(token), zoe), false);
});

test("while a key is asked for, the server is left alone", async (t) => {
  const { url } = await serve(t, example("weather"), { secret: SECRET });
  const page = await start(t);
  await page.goto(url);
  await page.locator("#sign-in").waitFor();
  // What was on its way when the first refusal came.
  await page.waitForTimeout(500);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("websocket", (socket) => asked.push(socket.url()));
  // The third try of a line comes within two seconds.
  await page.waitForTimeout(3_000);
  assert.deepEqual(asked, []);
});

test("without the scope the inspector shows what was done, not why, and says so", async (t) => {
  const { url } = await serve(t, example("weather"), { secret: SECRET });
  const page = await start(t);
  await page.goto(url);
  await signIn(page, token({ sub: "ann", scope: "chat" }));
  await page.locator("#state.open").waitFor();
  await say(page, "thanks");
  await page.locator(".turn").getByText("The inspector needs the scope “inspect”.").waitFor();
  assert.deepEqual([await page.locator(".step").count(), await page.locator(".cause, blockquote, .call").count()], [3, 0]);
});

test("with an API key, and nobody else reads the conversation", async (t) => {
  const store = `sqlite:${path.join(folder(t), "cota.db")}`;
  const made = execFileSync(process.env.COTA_BIN, ["key", "create", "--scopes", "chat,inspect", "--store", store, "--format", "json"], { encoding: "utf8" });
  const { url } = await serve(t, example("weather"), { store, secret: SECRET });
  const page = await start(t);
  await page.goto(url);
  await signIn(page, JSON.parse(made).key);
  await page.locator("#state.open").waitFor();
  assert.equal(await say(page, "thanks"), "You are welcome!");
  await page.locator(".step .cause").first().waitFor();

  const other = await start(t);
  await other.goto(page.url());
  await signIn(other, token({ sub: "mallory", scope: "chat inspect" }));
  await other.locator("#state.open").waitFor();
  await say(other, "hello");
  assert.deepEqual((await transcript(other)).map((line) => line.split(":")[0]), ["mine", "bot"]);
  assert.equal((await transcript(page)).length, 2);
});
