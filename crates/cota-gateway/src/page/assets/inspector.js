// Why the bot did what it did: the record as turns, each a thread of actions with what caused them.

import { byId, el } from "./dom.js";
import { isChinese, t } from "./words.js";

/** The kind of cause, as the timeline marks it, by the name that the record gives it. */
const KINDS = {
	user: "User", proxy_user: "User", trigger: "Rule", llm: "Llm", selector: "Selector", tools: "Tool", slot: "Form",
	interrupted: "Form", fallback: "Fallback",
};
const PURPOSES = { proxy_user: "proxyUser" };
const OUTCOMES = { superseded: "ctlSuperseded", cancelled: "cancelled" };

export class Inspector {
	constructor() {
		this.place = byId("turns");
		this.nothing = byId("no-turns");
		this.pending = byId("running");
		this.clear();
	}

	clear() {
		Object.assign(this, { turns: new Map(), forms: new Map(), active: undefined, dirty: new Set(), note: "quiet", isAwaited: false });
		this.redraw();
	}

	/** Says why there is nothing to see. */
	say(note) {
		this.note = note;
		this.redraw();
	}

	/** Shows whether a turn is running of which the record says nothing yet. */
	await(isSo) {
		this.isAwaited = isSo;
		this.pending.hidden = !isSo;
		this.pending.textContent = t("running");
		this.nothing.hidden = isSo || this.turns.size > 0;
		this.nothing.textContent = t(this.note);
	}

	/** Takes new events of the record, in order. */
	take(events) {
		const follows = this.isAtLast();
		for (const event of events) {
			const turn = this.turns.get(event.run) ?? this.begin(event);
			if (event.kind === "action") this.act(turn, event);
			else if (event.kind === "control") turn.steps.push({ seq: event.seq, control: event.data });
			else if (event.kind === "turn_end") this.end(turn, event.data);
			this.dirty.add(turn);
		}
		this.dirty.forEach((turn) => this.draw(turn));
		this.dirty.clear();
		this.drawNow();
		if (follows) this.place.scrollTop = this.top();
	}

	/** Where the last turn begins. */
	top() {
		return ([...this.turns.values()].at(-1)?.element.offsetTop ?? 0) - this.place.offsetTop - 8;
	}

	/** Whether the reader has the last turn in sight, and so wants to see the next. */
	isAtLast() {
		return this.place.scrollTop + this.place.clientHeight > this.top();
	}

	/** Draws everything anew, in the words of the language of now. */
	redraw() {
		this.place.replaceChildren(this.nothing, ...[...this.turns.values()].map((turn) => turn.element), this.pending);
		this.turns.forEach((turn) => this.draw(turn));
		this.await(this.isAwaited);
		this.drawNow();
	}

	/** Shows the step that said a message. */
	reveal(messageId) {
		const step = [...this.place.querySelectorAll("[data-message]")].find((step) => step.dataset.message.split(" ").includes(messageId));
		if (!step) return;
		step.closest("details").open = true;
		step.focus({ preventScroll: true });
		step.scrollIntoView({ block: "center" });
		this.place.querySelectorAll(".shown").forEach((other) => other.classList.remove("shown"));
		step.classList.add("shown");
	}

	begin(event) {
		for (const { element } of this.turns.values()) element.open = false;
		const turn = { at: event.at, steps: [], end: undefined, element: el("details", { class: "turn", open: true }) };
		this.turns.set(event.run, turn);
		this.pending.before(turn.element);
		this.nothing.hidden = true;
		return turn;
	}

	/** An action, with what it changed in its form. */
	act(turn, { seq, data }) {
		const step = { seq, action: data, changes: [] };
		if (data.slots || data.state) {
			const before = this.forms.get(data.name) ?? {};
			const after = data.slots ?? before;
			step.changes = changes(before, after);
			this.forms.set(data.name, data.state === "end" ? {} : after);
			if (data.state === "start" || data.state === "continue") this.active = data.name;
			else if (this.active === data.name) this.active = undefined;
		}
		turn.steps.push(step);
	}

	end(turn, data) {
		turn.end = data;
		for (const trace of data.steps ?? []) {
			const step = turn.steps.find((step) => step.seq === trace.seq);
			if (step) step.trace = trace;
		}
		this.active = data.form ?? undefined;
		if (data.form) this.forms.set(data.form, data.slots);
	}

	/** The active form and what it knows. */
	drawNow() {
		const slots = Object.entries(this.forms.get(this.active) ?? {});
		byId("now").replaceChildren(
			el("span", { class: "tag" }, this.active ? t("activeForm") : t("noForm")),
			this.active ? el("b", {}, this.active) : "",
			...(this.active ? slots.map(([name, value]) => el("span", { class: "slot" }, el("i", {}, name), " ", shown(value))) : []),
		);
	}

	draw(turn) {
		const said = turn.steps.find((step) => step.action?.name === "UserUtter")?.action.result.map((item) => item.text || t("image")).join(" / ");
		const whole = Math.max(turn.end?.usage.ms ?? 0, ...turn.steps.map((step) => step.trace?.ms ?? 0), 1);
		let start = 0;
		const steps = turn.steps.map((step) => {
			const drawn = step.control ? control(step.control) : action(step, start / whole, whole);
			start += step.trace?.ms ?? 0;
			return drawn;
		});
		turn.element.replaceChildren(
			el("summary", {}, el("span", { class: "said", dir: "auto" }, said ?? "…"), el("span", { class: "sum" }, summary(turn))),
			el("ol", { class: "steps" }, ...steps),
			turn.end && !turn.end.steps?.length ? el("p", { class: "note" }, t("refused")) : "",
		);
	}
}

function summary({ at, end }) {
	const time = new Date(at).toLocaleTimeString(isChinese() ? "zh-CN" : "en-GB");
	if (!end) return `${time} · ${t("running")}`;
	const { llm_calls, prompt_tokens, completion_tokens, ms } = end.usage;
	const parts = [time, t(OUTCOMES[end.outcome] ?? end.outcome), t("ms", { n: ms }), t(llm_calls === 1 ? "calls1" : "calls", { n: llm_calls })];
	if (prompt_tokens + completion_tokens) parts.push(t("tokens", { sent: prompt_tokens, got: completion_tokens }));
	return parts.join(" · ");
}

/** An action of the timeline; `from` is the share of the turn's time before it, `whole` the turn's time. */
function action(step, from, whole) {
	const { action, trace } = step;
	const results = action.result ?? [];
	const cause = trace?.cause;
	const kind = KINDS[cause?.policy] ?? (action.name === "UserUtter" ? "User" : "Other");
	const error = results.map((item) => item.metadata?.error).find(Boolean);
	const messages = results.map((item) => item.message_id).filter(Boolean).join(" ");
	return el("li", { class: `step ${kind}${error ? " broken" : ""}`, tabindex: "-1", "data-message": messages || undefined },
		el("div", { class: "head" },
			el("b", {}, action.name),
			action.state ? el("span", { class: "tag" }, t(action.state)) : "",
			trace?.ms ? el("span", { class: "ms" }, t("ms", { n: trace.ms })) : ""),
		cause && cause.policy !== "user" ? el("p", { class: "cause" }, el("span", { class: "kind" }, t("kind" + kind)), " ", because(cause)) : "",
		trace?.ms ? bar(from, trace.ms / whole) : "",
		error ? el("p", { class: "error" }, el("b", {}, t("error")), " ", words(error)) : "",
		results.map((item) => result(action.name, item)),
		step.changes.length ? slotTable(step.changes) : "",
		(trace?.calls ?? []).map(call),
		trace?.examples?.length ? examples(trace.examples) : "");
}

function because(cause) {
	return cause.policy === "fallback" ? t("fallbackCause", cause) : t(cause.policy, cause);
}

function result(name, item) {
	const text = name === "Selector" ? t("chose", { action: item.text }) : item.text;
	const { error, slots, ...others } = item.metadata ?? {};
	return [
		item.thought ? el("blockquote", { dir: "auto" }, el("span", { class: "unseen" }, t("thought") + ": "), item.thought) : "",
		text ? el("p", { class: "text", dir: "auto" }, text) : "",
		slots ? el("p", { class: "slots" }, Object.entries(slots).map(([name, value]) => el("span", { class: "slot" }, el("i", {}, name), " ", shown(value)))) : "",
		Object.keys(others).length ? el("details", { class: "minor" }, el("summary", {}, t("more")), el("pre", {}, JSON.stringify(others, null, 2))) : "",
	];
}

function call({ llm, purpose, ms, prompt_tokens, completion_tokens, error }) {
	const tokens = prompt_tokens + completion_tokens ? ` · ${t("callTokens", { sent: prompt_tokens, got: completion_tokens })}` : "";
	return el("p", { class: error ? "call error" : "call" },
		el("b", {}, llm), ` ${t(PURPOSES[purpose] ?? purpose)} · ${t("ms", { n: ms })}${tokens}`, error ? ` · ${error}` : "");
}

function examples(titles) {
	return el("details", { class: "minor" },
		el("summary", {}, t(titles.length === 1 ? "examples1" : "examples", { n: titles.length })),
		el("ul", {}, titles.map((title) => el("li", { dir: "auto" }, title))));
}

function slotTable(changed) {
	return el("table", {},
		el("caption", { class: "unseen" }, t("slotsChanged")),
		el("thead", { class: "unseen" }, el("tr", {}, ["slotsChanged", "before", "after"].map((name) => el("th", { scope: "col" }, t(name))))),
		el("tbody", {}, changed.map(([name, before, after]) =>
			el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, shown(before)), el("td", { class: "after" }, shown(after))))));
}

function control(data) {
	const told = {
		cancelled: () => t("ctlCancelled", data), superseded: () => t("ctlSuperseded"), bot_changed: () => t("ctlChanged"),
		gave_up: () => t("ctlGaveUp", { n: data.takeovers }),
	};
	return el("li", { class: "step Fallback" }, el("p", { class: "cause" }, el("span", { class: "kind" }, t("kindOther")), " ", told[data.control]?.() ?? data.control));
}

/** Where in the turn's time an action lies. */
function bar(from, share) {
	const filled = el("i");
	filled.style.marginInlineStart = `${Math.min(from, 1) * 100}%`;
	filled.style.width = `${Math.max(Math.min(share, 1 - from), 0.01) * 100}%`;
	return el("div", { class: "bar", "aria-hidden": "true" }, filled);
}

function changes(before, after) {
	const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
	return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => [name, before[name], after[name]]);
}

const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const shown = (value) => (value === undefined || value === null ? el("span", { class: "nothing" }, t("unknown")) : words(value));
