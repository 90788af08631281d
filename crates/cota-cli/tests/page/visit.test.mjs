// Several people in one conversation: with a link, with an invitation, with a ticket; and images.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import axe from "axe-core";
import { SECRET, closeBrowser, example, open, say, serve, shoot, signIn, start, token, transcript } from "./support.mjs";

after(closeBrowser);

/** The link that the page makes for others. */
async function link(page) {
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await page.locator("#invite").waitFor();
  return page.locator("#link").inputValue();
}

const sees = (page, words) => page.locator("#messages").getByText(words, { exact: true }).waitFor();

test("where nobody is identified, a link is enough", async (t) => {
  const { url } = await serve(t, example("weather"));
  const ana = await open(t, url);
  await say(ana, "hello");
  const address = await link(ana);
  assert.match(address, /#c=c-/);
  await ana.locator("#invite").getByText("Whoever opens this link takes part in this conversation.").waitFor();
  await ana.evaluate(axe.source);
  assert.deepEqual(await ana.evaluate(async () => (await window.axe.run()).violations.map((fault) => fault.id)), []);
  await shoot(ana, "invite");
  await ana.locator("#close-invite").click();
  const bo = await open(t, address);
  await sees(bo, "hello");
  await say(bo, "thanks");
  await sees(ana, "thanks");
  await sees(ana, "You are welcome!");
  assert.deepEqual((await transcript(bo)).map((line) => line.split(":")[0]), ["other", "bot", "mine", "bot"]);
  assert.deepEqual((await transcript(ana)).map((line) => line.split(":")[0]), ["mine", "bot", "other", "bot"]);
  await shoot(ana, "room");
});

test("an invitation is good for one visit, after signing in", async (t) => {
  const { url } = await serve(t, example("weather"), { secret: SECRET });
  const ana = await start(t);
  await ana.goto(url);
  await signIn(ana, token({ sub: "ana", scope: "chat inspect" }));
  await ana.locator("#state.open").waitFor();
  await say(ana, "hello");
  const address = await link(ana);
  assert.match(address, /invitation=[0-9a-f]{64}/);
  await ana.locator("#close-invite").click();

  const bo = await start(t);
  await bo.goto(address);
  await signIn(bo, token({ sub: "bo", scope: "chat inspect" }));
  await sees(bo, "hello");
  await say(bo, "thanks");
  await sees(ana, "thanks");
  assert.deepEqual((await transcript(ana)).map((line) => line.split(":")[0]), ["mine", "bot", "other", "bot"]);
  assert.ok((await ana.locator(".other .who").innerText()) === "bo");
  assert.ok(!bo.url().includes("invitation"), "what is used is not kept");
  await bo.locator("#turns, #inspector").getByText("You are a visitor here", { exact: false }).first().waitFor();
  assert.equal(await bo.locator("#ask-in, .why").filter({ visible: true }).count(), 0);
  await shoot(bo, "guest");

  await bo.reload();
  await bo.getByText("This invitation was for one visit, or is over. Ask for another one.").waitFor();
  assert.deepEqual(await bo.locator("#messages .mine, #messages .bot").count(), 0);
  const cy = await start(t);
  await cy.goto(address);
  await signIn(cy, token({ sub: "cy", scope: "chat" }));
  await cy.getByText("This invitation was for one visit, or is over. Ask for another one.").waitFor();
});

test("a ticket signs in for one visit", async (t) => {
  const { url } = await serve(t, example("weather"), { secret: SECRET });
  const made = await fetch(`${url}/v1/tickets`, { method: "POST", headers: { authorization: `Bearer ${token({ sub: "dee", scope: "chat" })}` } });
  const page = await start(t);
  await page.goto(url);
  await signIn(page, (await made.json()).ticket);
  await page.locator("#state.open").waitFor();
  assert.equal(await say(page, "thanks"), "You are welcome!");
  assert.deepEqual((await transcript(page)).map((line) => line.split(":")[0]), ["mine", "bot"]);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  assert.equal(await page.locator("#sign-in").isVisible(), false);
  await page.reload();
  await page.locator("#sign-in").waitFor();
});

test("an image is shown as one, and loads nothing that could run", async (t) => {
  const { url } = await serve(t, example("weather"));
  const page = await open(t, url);
  await say(page, "hello");
  const src = "data:image/svg+xml," + encodeURIComponent("<svg xmlns='http://www.w3.org/2000/svg' width='80' height='40'><script>alert(1)</script><rect width='80' height='40' fill='teal'/></svg>");
  await page.evaluate(async (image) => {
    const session_id = new URLSearchParams(location.hash.slice(1)).get("c");
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/websocket?sender_id=eve`);
    await new Promise((done) => (socket.onopen = done));
    socket.send(JSON.stringify({ type: "image", session_id, image }));
  }, src);
  const image = page.locator("#messages .other img");
  await image.waitFor();
  assert.equal(await image.getAttribute("src"), src);
  assert.equal(await image.getAttribute("alt"), "Image");
  assert.equal(await image.evaluate((shown) => shown.decode().then(() => shown.naturalWidth)), 80);
  await shoot(page, "image");
  assert.deepEqual(page.complaints, []);
});
