// Who this browser is to a server that wants to know: a key or token, kept until the tab is closed, or a ticket for one visit.

import { byId } from "./dom.js";
import { sender } from "./memory.js";
import { t } from "./words.js";

const KEPT = "cota.key";
const given = sessionStorage.getItem(KEPT);
/** Whether the reader came with a ticket: it opens one line and nothing else. */
export const isVisitor = /^[0-9a-f]{64}$/.test(given ?? "");
const key = isVisitor ? undefined : given;
let pass = isVisitor ? given : undefined;
if (isVisitor) sessionStorage.removeItem(KEPT);

/** As whom the page speaks: a token says it, a ticket's owner is told by the server, else it is this browser's own name. */
export let me = isVisitor ? undefined : (key && subject(key)) || sender();
export const named = (name) => (me = name);

/** `fetch` with the key. Where the server wants one, or another one, the reader is asked for it. */
export async function ask(url, options = {}) {
	const authorization = key ? { authorization: `Bearer ${key}` } : {};
	const answer = await fetch(url, { ...options, headers: { ...options.headers, ...authorization } });
	if (answer.status === 401 && !isVisitor) signIn();
	return answer;
}

/** Whether the reader is being asked for a key. */
export const isSigningIn = () => byId("sign-in").open;

/** What opens a socket in the key's place; nothing where there is no key. */
export async function ticket() {
	if (isSigningIn()) throw new Error("nobody has signed in");
	if (isVisitor) {
		const admission = pass;
		pass = undefined;
		if (!admission) signIn();
		return admission ?? Promise.reject(new Error("the ticket is used"));
	}
	if (!key) return undefined;
	const answer = await ask(`v1/tickets?sender_id=${encodeURIComponent(me)}`, { method: "POST" });
	if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
	return (await answer.json()).ticket;
}

export function signIn() {
	if (isSigningIn()) return;
	byId("wrong").textContent = isVisitor ? t("usedTicket") : key ? t("wrongKey") : "";
	byId("sign-in").showModal();
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
