// The messages of one conversation: each committed one exactly once, and the reply that is being written below them.

import { byId, el } from "./dom.js";
import { dropUnanswered, fresh, keepUnanswered, unanswered } from "./memory.js";
import { t } from "./words.js";

/** Errors after which the same message may be sent again. */
const MENDABLE = ["busy", "queue_full", "rate_limited", "store_unavailable", "shutting_down", "timeout", "internal"];
/** Ends of a turn that leave a message without an answer. */
const OVERTAKEN = ["superseded", "cancelled"];
/** Pixels from the end within which the reader follows it. */
const NEAR = 90;

export class Chat {
	/** `hooks`: `send(frame)` (whether it could), `why(messageId)`, `said(text)` for each new message of the
	 * user, `awaits(isSo)` whether an answer is to come. */
	constructor(hooks) {
		this.hooks = hooks;
		this.list = byId("messages");
		this.scroller = byId("scroller");
		this.scroller.addEventListener("scroll", () => this.isAtEnd() && (byId("latest").hidden = true));
		byId("latest").addEventListener("click", () => this.toEnd());
	}

	/** Begins with an empty screen. */
	show(conversation, sender) {
		Object.assign(this, { conversation, sender, cursor: 0, entries: new Map(), awaited: new Set(), done: new Set(), asked: new Set() });
		this.list.replaceChildren();
		byId("live").replaceChildren();
		for (const { id, text, isKnown } of unanswered().filter((message) => message.conversation === conversation)) {
			const entry = this.mine(id, text);
			if (isKnown) entry.isSending = true;
			else this.fail(entry, t("unsent"), true);
		}
		this.settle();
	}

	/** Where to go on after a break. An event may hold several messages, so the last one is asked for again. */
	after() {
		return Math.max(0, this.cursor - 1);
	}

	/** The line is there again and the record is about to be replayed. */
	joined() {
		// A running reply comes anew from its start, or only when it is done.
		for (const [key, entry] of this.entries) if (entry.isLive) this.remove(key);
		for (const entry of this.entries.values()) if (entry.isSending) this.post(entry);
		this.settle();
	}

	/** The line broke: what is not acknowledged may be sent again by hand, and is by itself when the line is back. */
	lost() {
		for (const entry of this.entries.values()) if (entry.isSending) this.fail(entry, t("unsent"), true, true);
	}

	say(text) {
		const entry = this.mine(fresh("m-"), text);
		keepUnanswered({ conversation: this.conversation, id: entry.id, text });
		this.hooks.said(text);
		this.post(entry);
		this.settle();
		this.toEnd();
	}

	/** Takes a frame of this conversation. */
	take(frame) {
		const follows = this.isAtEnd();
		switch (frame.type) {
			case "text":
			case "image":
				this.message(frame);
				break;
			case "delta":
				this.delta(frame);
				break;
			case "reset":
				if (this.entries.get(frame.message_id)?.isLive) this.remove(frame.message_id);
				break;
			case "error":
				this.error(frame);
				break;
		}
		this.settle();
		if (follows) this.toEnd();
		else if (frame.type === "text" || frame.type === "image") byId("latest").hidden = false;
	}

	/** These messages of users are answered, whatever the answer was. */
	answered(ids) {
		for (const id of ids) {
			this.awaited.delete(id);
			this.done.add(id);
			dropUnanswered(id);
		}
		this.settle();
	}

	message(frame) {
		if (frame.seq) this.cursor = Math.max(this.cursor, frame.seq);
		const isBot = frame.sender === "bot";
		const isMine = !isBot && frame.sender_id === this.sender;
		const key = isBot ? frame.message_id : `${frame.sender_id} ${frame.message_id}`;
		if (!isBot && !frame.seq && frame.receiver === "bot" && !this.done.has(frame.message_id)) {
			this.awaited.add(frame.message_id);
			this.asked.add(frame.message_id);
			if (isMine) keepUnanswered({ conversation: this.conversation, id: frame.message_id, text: frame.text, isKnown: true });
		}
		if (isBot) {
			this.awaited.delete(frame.reply_to);
			dropUnanswered(frame.reply_to);
		}
		const known = this.entries.get(key);
		if (known && !known.isLive) {
			if (known.isSending || known.hasFailed) this.sent(known);
			return;
		}
		const entry = known ?? this.add(key, isBot ? "bot" : isMine ? "mine" : "other", isMine || isBot ? undefined : frame.sender_id);
		entry.isLive = false;
		entry.item.classList.remove("live");
		entry.body.textContent = frame.text;
		entry.text = frame.text;
		const src = frame.payload?.src;
		if (typeof src === "string") entry.body.append(el("img", { src, alt: t("image"), referrerpolicy: "no-referrer" }));
		if (!isBot) return;
		const label = t("whyLabel", { text: frame.text.slice(0, 60) });
		entry.foot.replaceChildren(el("button", { type: "button", class: "why", "aria-label": label, onclick: () => this.hooks.why(frame.message_id) }, t("why")));
		if (this.asked.has(frame.reply_to)) byId("live").replaceChildren(el("p", {}, frame.text));
	}

	delta({ message_id, offset, text }) {
		let entry = this.entries.get(message_id);
		if (entry && !entry.isLive) return;
		entry ??= this.add(message_id, "bot live");
		entry.text = Array.from(entry.text).slice(0, offset).join("") + text;
		entry.body.textContent = entry.text;
	}

	error({ code, message, message_id }) {
		if (!message_id) {
			if (code !== "not_found") return;
			this.show(this.conversation, this.sender);
			this.tell("forgotten");
			return;
		}
		this.awaited.delete(message_id);
		const entry = this.entries.get(`${this.sender} ${message_id}`);
		if (!entry) return;
		if (OVERTAKEN.includes(code)) {
			this.sent(entry);
			entry.foot.textContent = t(code);
		} else {
			this.fail(entry, message, MENDABLE.includes(code));
		}
	}

	/** Tells the reader something in between. */
	tell(words) {
		this.list.append(el("li", { class: "note" }, el("span", { role: "alert" }, t(words))));
		this.settle();
	}

	/** A message of this browser that nobody has acknowledged. */
	mine(id, text) {
		const entry = this.add(`${this.sender} ${id}`, "mine");
		Object.assign(entry, { id, text });
		entry.body.textContent = text;
		return entry;
	}

	/** Sends a message, for the first time or again: always under the same id. */
	post(entry) {
		Object.assign(entry, { isSending: true, hasFailed: false });
		this.asked.add(entry.id);
		entry.item.classList.remove("failed");
		entry.foot.textContent = t("sending");
		const { conversation, sender } = this;
		const isOnItsWay = this.hooks.send({
			type: "text", session_id: conversation, sender_id: sender, receiver: "bot", text: entry.text, message_id: entry.id,
		});
		if (!isOnItsWay) this.fail(entry, t("unsent"), true, true);
	}

	sent(entry) {
		Object.assign(entry, { isSending: false, hasFailed: false });
		entry.item.classList.remove("failed");
		entry.foot.replaceChildren();
	}

	/** Shows that a message came to nothing, with a way to try again where there is one. */
	fail(entry, words, mendable, isSending = false) {
		Object.assign(entry, { isSending, hasFailed: true });
		entry.item.classList.add("failed");
		const again = el("button", { type: "button", class: "retry", onclick: () => this.post(entry) }, t("retry"));
		entry.foot.replaceChildren(el("span", { role: "alert" }, words), mendable ? again : "");
		if (!mendable) dropUnanswered(entry.id);
	}

	add(key, kind, name) {
		const body = el("div", { class: "body", dir: "auto" });
		const foot = el("div", { class: "foot" });
		const who = el("span", { class: name ? "who" : "unseen" }, name ?? (kind === "mine" ? t("you") : t("bot")));
		const item = el("li", { class: kind }, who, body, foot);
		const entry = { item, body, foot, text: "", isLive: kind.endsWith("live") };
		this.entries.set(key, entry);
		// A reply that is still being written comes after everything that is recorded.
		this.list.insertBefore(item, entry.isLive ? null : this.list.querySelector(".live"));
		return entry;
	}

	remove(key) {
		this.entries.get(key)?.item.remove();
		this.entries.delete(key);
	}

	/** Shows whether an answer is awaited, and whether there is anything yet. */
	settle() {
		const isWritten = [...this.entries.values()].some((entry) => entry.isLive);
		byId("typing").hidden = isWritten || this.awaited.size === 0;
		this.hooks.awaits(this.awaited.size > 0);
		byId("empty").hidden = this.list.childElementCount > 0;
	}

	isAtEnd() {
		const { scrollHeight, scrollTop, clientHeight } = this.scroller;
		return scrollHeight - scrollTop - clientHeight < NEAR;
	}

	toEnd() {
		this.scroller.scrollTop = this.scroller.scrollHeight;
		byId("latest").hidden = true;
	}
}
