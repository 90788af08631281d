// Inviting somebody into this conversation: a link, good for one visit where the server wants to know who comes.

import { ask } from "./access.js";
import { byId } from "./dom.js";
import { t } from "./words.js";

/** Shows a link to the conversation `place`. `route` makes the invitation that it needs. */
export async function invite(route, place) {
	const answer = await ask(route, { method: "POST" }).catch(() => undefined);
	// A server that identifies nobody has no invitations, as everybody may come in.
	const isOpen = answer?.status === 404;
	if (!answer?.ok && !isOpen) return;
	if (!isOpen) place.set("invitation", (await answer.json()).token);
	byId("invite-why").textContent = t(isOpen ? "inviteOpen" : "inviteOnce");
	byId("link").value = `${location.href.split("#")[0]}#${place}`;
	byId("copy").textContent = t("copy");
	byId("invite").showModal();
	byId("link").select();
}

byId("invite-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	await navigator.clipboard.writeText(byId("link").value).catch(() => document.execCommand("copy"));
	byId("copy").textContent = t("copied");
});
byId("close-invite").addEventListener("click", () => byId("invite").close());
