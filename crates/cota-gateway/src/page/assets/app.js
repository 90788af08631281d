// The page: one conversation at a time on a line to the server, the record of it in the inspector.

import { ask, isSigningIn, isVisitor, me, named, signIn, ticket } from "./access.js";
import { Chat } from "./chat.js";
import { byId, el } from "./dom.js";
import { Inspector } from "./inspector.js";
import { invite } from "./invite.js";
import { Line } from "./line.js";
import { conversations, forget, fresh, read, remember, write } from "./memory.js";
import { follow } from "./record.js";
import { speak, switchLanguage, t } from "./words.js";

const LONGEST_TITLE = 60;
const NARROW = matchMedia("(max-width: 820px)");

const here = { id: "", bot: "" };
const inspector = new Inspector();
let state = "connecting";
let following;
/** The task view, once it was wanted. */
let tasks;
let loading;

const chat = new Chat({ send: (frame) => line.send(frame), said, why, awaits: (isSo) => inspector.await(isSo) });
const line = new Line({ opened, frame, changed });

/** Goes to a conversation: a new one, one of this browser's, or one that the address names. `guest` is who comes to somebody
 * else's, with an invitation that is good once. */
function go(id, bot, { isNew = false, guest } = {}) {
	tasks?.close();
	Object.assign(here, { id, bot, isNew, guest });
	mark();
	following?.stop();
	inspector.clear();
	chat.show(id, me);
	// A conversation's record is its owner's, and takes more than a ticket to read.
	const isForeign = guest || isVisitor;
	following = isForeign ? undefined : follow(route("/events"), { take, refused: () => inspector.say("refused") });
	if (isForeign) inspector.say("foreign");
	byId("ask-in").hidden = Boolean(isForeign);
	document.body.classList.toggle("visiting", Boolean(isForeign));
	line.open(reach);
	pick();
	list();
}

function begin(bot = here.bot) {
	go(fresh("c-"), bot, { isNew: true });
	byId("text").focus();
}

/** An address of the server for this sender and this bot. */
function at(path) {
	const url = new URL(path, location.href.split("#")[0]);
	if (me) url.searchParams.set("sender_id", me);
	if (here.bot) url.searchParams.set("bot", here.bot);
	return url;
}

/** What the page's address says of where one is. */
const place = () => new URLSearchParams({ c: here.id, ...(here.bot && { bot: here.bot }) });

/** Puts it there: an invitation until it is taken, as a reader may have to sign in first. */
function mark() {
	if (tasks?.isOpen) return;
	const address = place();
	const { guest } = here;
	if (guest) address.set(guest.invitation ? "invitation" : "guest", guest.invitation ?? "");
	if (location.hash !== `#${address}`) history.replaceState(null, "", `#${address}`);
}

const route = (rest) => at(`v1/conversations/${encodeURIComponent(here.id)}${rest}`);

/** Where the line is. */
async function reach() {
	const url = at("websocket");
	url.protocol = url.protocol.replace("http", "ws");
	const admission = await ticket();
	if (admission) url.searchParams.set("ticket", admission);
	return url;
}

function opened() {
	const token = here.guest?.invitation;
	if (here.guest && !token) return chat.tell("oneVisit");
	if (here.guest) here.guest.invitation = undefined;
	mark();
	line.send({ type: "join", session_id: here.id, stream: true, after: chat.after(), token });
}

function frame(frame) {
	if (frame.type === "join_confirm") {
		chat.joined();
		if (!here.isNew) following?.nudge();
		return;
	}
	if (frame.type === "login") return chat.sender = named(frame.sender_id);
	if (frame.code === "unauthorized") signIn();
	if (frame.code === "forbidden" && here.guest && !frame.message_id) return chat.tell("oneVisit");
	chat.take(frame);
	if (frame.seq) {
		here.isNew = false;
		following?.nudge();
	}
}

function take(events) {
	inspector.take(events);
	for (const { kind, data } of events) if (kind === "turn_end") chat.answered(data.message_ids);
}

function changed(now) {
	// One failed try after another is one state for the reader.
	if (now === "connecting" && state === "broken") return;
	if (now === "broken") {
		chat.lost();
		// A socket does not say why it was refused; an answer does.
		if (!isSigningIn()) ask(route("")).catch(() => {});
	}
	state = now;
	showState();
}

function showState() {
	const place = byId("state");
	place.textContent = t(state);
	place.className = state;
}

/** The first words of a conversation are its title. */
function said(text) {
	if (here.guest) return;
	const known = conversations().find((conversation) => conversation.id === here.id);
	remember({ id: here.id, bot: here.bot, title: known?.title ?? text.trim().slice(0, LONGEST_TITLE) });
	list();
}

function why(messageId) {
	show(true);
	inspector.reveal(messageId);
}

function list() {
	byId("conversations").replaceChildren(...conversations().map(({ id, bot, title }) =>
		el("li", {},
			el("button", { type: "button", class: "plain go", "aria-current": id === here.id && "true", onclick: () => leave(() => go(id, bot)) },
				el("span", { dir: "auto", title }, title || t("untitled"))),
			el("button", { type: "button", class: "icon drop", "aria-label": t("forget", { title }), onclick: () => drop(id, bot) }, "×"))));
}

/** Closes the list where it covers the chat. */
function leave(then) {
	if (byId("list").matches(":popover-open")) byId("list").hidePopover();
	then();
}

async function drop(id, bot) {
	if (!confirm(t("sure"))) return;
	const was = { ...here };
	Object.assign(here, { id, bot });
	const url = route("");
	Object.assign(here, was);
	await ask(url, { method: "DELETE" }).catch(() => {});
	forget(id);
	if (id === here.id) begin();
	else list();
}

/** Opens or closes the inspector; on a phone it takes the chat's place. */
function show(isOpen) {
	document.body.classList.toggle("inspecting", isOpen);
	byId("inspect").setAttribute("aria-expanded", isOpen);
	if (!NARROW.matches) write("inspecting", isOpen);
}

/** Shows whose conversation this is: without a name it is the first bot's. */
function pick() {
	byId("bot").value = here.bot || byId("bot").options[0]?.value;
}

async function bots() {
	const answer = await ask(at("v1/models")).catch(() => undefined);
	const names = answer?.ok ? ((await answer.json()).data ?? []).map((model) => model.id) : [];
	if (names.length < 2) return;
	byId("bot").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
	pick();
	byId("bots").hidden = false;
}

/** Offers the tasks of a server that has some, to a reader who may start them. */
async function offerTasks() {
	const answer = isVisitor ? undefined : await ask(at("v1/tasks")).catch(() => undefined);
	byId("tasks").hidden = !(answer?.ok && (await answer.json()).tasks.length);
}

/** Goes to a task, or to what there is to start. The chat does without all that this takes. */
async function showTasks(id) {
	const left = () => (location.hash = here.id ? place() : "");
	loading ??= import("./task.js").then(({ Tasks }) => Tasks.load({ at, left }));
	tasks = await loading;
	if (asked().get("task") === id) tasks.open(id);
}

function fit() {
	const text = byId("text");
	text.style.height = "auto";
	text.style.height = `${text.scrollHeight}px`;
}

function submit() {
	const text = byId("text");
	if (!text.value.trim()) return;
	chat.say(text.value);
	text.value = "";
	fit();
	text.focus();
}

byId("composer").addEventListener("submit", (event) => {
	event.preventDefault();
	submit();
});
byId("text").addEventListener("input", fit);
byId("text").addEventListener("keydown", (event) => {
	// The Enter that ends the writing of a Chinese word belongs to the input method; 229 is what old ones report.
	if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
	event.preventDefault();
	submit();
});
byId("new").addEventListener("click", () => leave(() => begin()));
byId("tasks").addEventListener("click", () => leave(() => {}));
byId("ask-in").addEventListener("click", () => leave(() => invite(route("/invitations"), place())));
byId("bot").addEventListener("change", () => begin(byId("bot").value));
byId("inspect").addEventListener("click", () => show(!document.body.classList.contains("inspecting")));
byId("close-inspector").addEventListener("click", () => {
	show(false);
	byId("text").focus();
});
byId("theme").addEventListener("click", () => {
	const isDark = getComputedStyle(document.documentElement).colorScheme === "dark"
		|| (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
	document.documentElement.dataset.theme = isDark ? "light" : "dark";
	write("theme", document.documentElement.dataset.theme);
});
byId("language").addEventListener("click", () => {
	switchLanguage();
	translated();
});
addEventListener("hashchange", start);

function translated() {
	const button = byId("language");
	const isEnglish = document.documentElement.lang === "en";
	button.textContent = isEnglish ? "中文" : "English";
	button.lang = isEnglish ? "zh" : "en";
	button.setAttribute("aria-label", isEnglish ? "切换到中文" : "Switch to English");
	showState();
	inspector.redraw();
	list();
	tasks?.redraw();
}

/** What the page's address asks for. */
const asked = () => new URLSearchParams(location.hash.slice(1));

function start() {
	const wanted = asked();
	const last = conversations()[0];
	const invitation = wanted.get("invitation");
	const guest = invitation || wanted.has("guest") ? { invitation: invitation || undefined } : undefined;
	if (wanted.has("task")) showTasks(wanted.get("task"));
	else if (wanted.get("c")) go(wanted.get("c"), wanted.get("bot") ?? "", { guest });
	else if (last) go(last.id, last.bot);
	else go(fresh("c-"), "", { isNew: true });
}

speak();
translated();
show(!NARROW.matches && read("inspecting", true));
start();
bots();
offerTasks();
byId("text").focus();
