// Rasa's own web chat, as it comes from npm, on a page of somebody's site: it talks to a bot without a change.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, test } from "node:test";
import { closeBrowser, example, serve, shoot, start } from "./support.mjs";

after(closeBrowser);

/** A site with the chat on its page. Its origin is another one than the bot's. */
async function site(t, options) {
	const script = await readFile(path.join(process.env.COTA_RASA_WEBCHAT, "lib/index.js"));
	const page = `<!doctype html><title>A shop</title><script src="/chat.js"></script><script>
		window.WebChat.default({ socketPath: "/socket.io/", title: "Shop", embedded: true, showMessageDate: false, ...${JSON.stringify(options)} }, null);
	</script>`;
	const server = createServer((request, response) => {
		const [type, body] = request.url === "/chat.js" ? ["text/javascript", script] : ["text/html; charset=utf-8", page];
		response.writeHead(200, { "content-type": type });
		response.end(body);
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	t.after(() => (server.closeAllConnections(), server.close()));
	return `http://127.0.0.1:${server.address().port}`;
}

async function say(page, text) {
	await page.locator(".rw-new-message").fill(text);
	await page.locator(".rw-send").click();
}

const answer = (page, text) => page.locator(".rw-response", { hasText: text });

test("a conversation in Rasa's web chat", async (t) => {
	const { url } = await serve(t, example("weather"));
	const page = await start(t);
	await page.goto(await site(t, { socketUrl: url, initPayload: "hello", customData: { language: "en" } }));
	// It says its first payload itself once it has a session, and does not show it.
	await answer(page, /Hello! I can tell you the weather/).waitFor();
	await say(page, "what is the weather in Oslo?");
	await answer(page, /For which day/).waitFor();
	await say(page, "tomorrow");
	await answer(page, /Oslo, tomorrow/).waitFor();
	assert.deepEqual(await page.locator(".rw-client").allInnerTexts(), ["what is the weather in Oslo?", "tomorrow"], "nothing twice");
	assert.equal(await page.locator(".rw-response", { hasText: /./ }).count(), 3);
	await shoot(page, "rasa-webchat");
});

test("it goes on in the same session after a reload", async (t) => {
	const { url } = await serve(t, example("weather"));
	const page = await start(t);
	await page.goto(await site(t, { socketUrl: url, params: { storage: "local" } }));
	await page.locator(".rw-new-message").waitFor();
	await say(page, "what is the weather in Oslo?");
	await answer(page, /For which day/).waitFor();
	await page.reload();
	await page.locator(".rw-new-message").waitFor();
	await say(page, "tomorrow");
	await answer(page, /Oslo, tomorrow/).waitFor();
});
