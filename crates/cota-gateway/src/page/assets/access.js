// Who this browser is to a server that wants to know: a key or token, kept until the tab is closed.

import { byId } from "./dom.js";
import { sender } from "./memory.js";
import { t } from "./words.js";

const KEPT = "cota.key";
const key = sessionStorage.getItem(KEPT);

/** As whom the page speaks: a token says it, else it is this browser's own name. */
export const me = (key && subject(key)) || sender();

/** `fetch` with the key. Where the server wants one, or another one, the reader is asked for it. */
export async function ask(url, options = {}) {
	const authorization = key ? { authorization: `Bearer ${key}` } : {};
	const answer = await fetch(url, { ...options, headers: { ...options.headers, ...authorization } });
	if (answer.status === 401) signIn();
	return answer;
}

/** What opens a socket in the key's place; nothing where there is no key. */
export async function ticket() {
	if (!key) return undefined;
	const answer = await ask(`v1/tickets?sender_id=${encodeURIComponent(me)}`, { method: "POST" });
	if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
	return (await answer.json()).ticket;
}

function signIn() {
	const dialog = byId("sign-in");
	if (dialog.open) return;
	byId("wrong").textContent = key ? t("wrongKey") : "";
	dialog.showModal();
}

byId("sign-in-form").addEventListener("submit", (event) => {
	event.preventDefault();
	sessionStorage.setItem(KEPT, byId("key").value.trim());
	location.reload();
});

/** The `sub` of a JSON Web Token. The server checks it; here it is only taken at its word. */
function subject(token) {
	try {
		const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
		return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(claims), (char) => char.charCodeAt(0)))).sub;
	} catch {
		return undefined;
	}
}
