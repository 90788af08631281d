// The task view: a task is started, watched, answered and stopped here. It is loaded when it is wanted.

import { ask, me } from "./access.js";
import { byId, el } from "./dom.js";
import { fresh, read, write } from "./memory.js";
import { follow } from "./record.js";
import { Graph } from "./task-graph.js";
import { took } from "./task-time.js";
import "./task-words.js";
import { speak, t } from "./words.js";

const MOST_TASKS = 30;
const OVER = ["done", "partial", "failed", "cancelled"];
const STEP_OVER = ["done", "failed", "skipped", "cancelled"];

/** This browser's tasks, the last one first: `{id, task, input}`. */
const begun = () => read("tasks", []);

export class Tasks {
	/** `hooks`: `at(path)` an address of the server, `left()` when the reader goes back to the chat. */
	static async load(hooks) {
		const style = el("link", { rel: "stylesheet", href: "page/task.css" });
		const styled = new Promise((done) => (style.onload = style.onerror = done));
		document.head.append(style);
		await styled;
		return new Tasks(hooks);
	}

	constructor({ at, left }) {
		Object.assign(this, { at, left, served: [] });
		this.view = markup();
		this.on("task-form", "submit", (event) => (event.preventDefault(), this.begin()));
		this.on("task-name", "change", () => this.describe());
		this.on("task-stop", "click", () => this.stop());
		this.on("task-close", "click", () => this.choose(undefined));
		for (const back of this.view.querySelectorAll(".to-chat")) back.addEventListener("click", () => this.left());
		document.querySelector(".skip").addEventListener("click", (event) => {
			if (!this.isOpen) return;
			event.preventDefault();
			(this.id ? byId("task-title") : byId("task-input")).focus();
		});
	}

	on(id, event, listener) {
		this.view.querySelector(`#${id}`).addEventListener(event, listener);
	}

	/** Shows the task with this id; without one, what there is to start. */
	open(id) {
		this.close();
		this.isOpen = true;
		if (!this.view.isConnected) document.querySelector("main").append(this.view);
		document.body.classList.add("tasking");
		Object.assign(this, { id, report: undefined, chosen: undefined, forms: new Map(), states: new Map() });
		byId("task-start").hidden = Boolean(id);
		byId("task-watch").hidden = !id;
		this.say("");
		this.redraw();
		if (id) this.watch();
		else this.listed = this.list();
	}

	close() {
		this.following?.stop();
		this.graph?.end();
		clearInterval(this.clock);
		Object.assign(this, { following: undefined, graph: undefined, isOpen: false });
		document.body.classList.remove("tasking");
		document.querySelector(".skip").textContent = t("skip");
	}

	/** Draws everything anew, in the words of the language of now. */
	redraw() {
		if (!this.isOpen) return;
		speak();
		document.querySelector(".skip").textContent = t("taskSkip");
		this.offer();
		this.forms.clear();
		byId("task-asks").replaceChildren();
		this.show();
	}

	/** Asks the server what there is to start. */
	async list() {
		byId("task-input").focus();
		const answer = await ask(this.route("")).catch(() => undefined);
		if (!answer?.ok) return this.say(answer ? await detail(answer) : t("taskLost"));
		this.served = (await answer.json()).tasks;
		if (this.isOpen) this.offer();
	}

	/** What there is to start, and what was started here. */
	offer() {
		const name = byId("task-name").value || this.served[0]?.name;
		byId("task-name").replaceChildren(...this.served.map((task) => el("option", { value: task.name }, task.name)));
		byId("task-name").value = name ?? "";
		byId("task-which").hidden = this.served.length < 2;
		this.describe();
		byId("task-begun").replaceChildren(...begun().map(({ id, task, input }) =>
			el("li", {}, el("a", { href: `#${new URLSearchParams({ task: id })}` }, el("b", {}, task), " ", el("span", { dir: "auto" }, input)))));
		byId("task-some").hidden = !begun().length;
	}

	describe() {
		const task = this.served.find((task) => task.name === byId("task-name").value);
		byId("task-about").replaceChildren(...(task ? [el("p", { dir: "auto" }, task.description), el("p", { class: "note" }, t("taskWith", { agents: task.agents.join(", ") }))] : []));
	}

	async begin() {
		// Whoever is quick starts before the server has said what there is.
		await this.listed;
		const made = { id: this.tried?.id ?? fresh("t-"), task: byId("task-name").value, input: byId("task-input").value.trim() };
		// A start that nobody answered may have been heard: the same again is the same task.
		this.tried = made;
		const answer = await this.post("", { task: made.task, input: made.input, task_id: made.id, ...(me && { sender_id: me }) });
		if (!answer) return;
		this.tried = undefined;
		write("tasks", [made, ...begun()].slice(0, MOST_TASKS));
		byId("task-input").value = "";
		location.hash = `#${new URLSearchParams({ task: made.id })}`;
	}

	/** Follows the task until it is over. */
	async watch() {
		const { id } = this;
		this.graph = new Graph(byId("task-graph"), (name) => this.choose(name));
		this.clock = setInterval(() => this.tick(), 1000);
		byId("task-title").focus();
		const answer = await ask(this.route(`/${encodeURIComponent(id)}`)).catch(() => undefined);
		if (this.id !== id || !this.isOpen) return;
		if (answer && !answer.ok) return this.say(answer.status === 403 ? t("taskRefused") : await detail(answer));
		this.following = follow(this.route(`/${encodeURIComponent(id)}`), { take: (reports) => this.take(reports.at(-1)), refused: () => this.say(t("taskRefused")) });
		this.following.nudge();
	}

	take(report) {
		this.report = report;
		this.announce(report);
		this.show();
		if (!OVER.includes(report.state)) return;
		this.following.stop();
		clearInterval(this.clock);
	}

	show() {
		const { report } = this;
		const known = begun().find((task) => task.id === this.id);
		byId("task-title").textContent = [known?.task ?? t("taskWhich"), report?.input ?? known?.input].filter(Boolean).join(" · ");
		byId("task-state").className = report?.state ?? "running";
		byId("task-state").textContent = report ? t(`all_${report.state}`) : "…";
		byId("task-stop").hidden = !report || OVER.includes(report.state);
		byId("task-end").hidden = !report || !(report.result || report.error);
		const steps = report?.steps ?? [];
		const done = steps.filter((step) => STEP_OVER.includes(step.state)).length;
		Object.assign(byId("task-bar"), { max: Math.max(1, steps.length), value: done });
		byId("task-bar").setAttribute("aria-label", t("taskSteps", { done, all: steps.length }));
		byId("task-done").textContent = report ? t("taskSteps", { done, all: steps.length }) : "";
		if (!report) return;
		byId("task-error").textContent = report.error ?? "";
		byId("task-result").textContent = report.result ?? "";
		this.graph?.show(steps, this.chosen);
		this.question(steps.filter((step) => step.state === "asking" && !OVER.includes(report.state)));
		this.explain();
		this.tick();
	}

	tick() {
		if (!this.report) return;
		byId("task-time").textContent = took(this.report);
		this.graph?.tick(this.report.steps);
	}

	/** Says to a screen reader what has changed. */
	announce(report) {
		const news = [];
		for (const { name, state } of report.steps) {
			if (this.states.get(name) !== state && (STEP_OVER.includes(state) || state === "asking")) news.push(t("taskTold", { step: name, state: t(`is_${state}`) }));
			this.states.set(name, state);
		}
		if (OVER.includes(report.state)) news.push(t("taskOver", { state: t(`all_${report.state}`) }));
		if (news.length) byId("task-live").replaceChildren(...news.map((line) => el("p", {}, line)));
	}

	/** A form for each step that asks; one that is being filled in stays as it is. */
	question(steps) {
		for (const [name, form] of this.forms) {
			if (steps.some((step) => step.name === name)) continue;
			form.remove();
			this.forms.delete(name);
		}
		for (const step of steps) {
			if (this.forms.has(step.name)) continue;
			const form = this.form(step);
			this.forms.set(step.name, form);
			byId("task-asks").append(form);
		}
	}

	form({ name, query }) {
		const field = `answer-${name}`;
		const text = el("input", { id: field, required: true, autocomplete: "off" });
		const button = el("button", { type: "submit", class: "plain strong" }, t("taskSend"));
		const form = el("form", { class: "question", "aria-labelledby": `asks-${name}` },
			el("h3", { id: `asks-${name}` }, t("taskAsks", { step: name })),
			el("p", { class: "text", dir: "auto" }, query ?? ""),
			el("label", { for: field }, t("taskAnswer")), el("div", { class: "row" }, text, button));
		form.addEventListener("submit", async (event) => {
			event.preventDefault();
			button.disabled = true;
			const answer = await this.post(`/${encodeURIComponent(this.id)}/steps/${encodeURIComponent(name)}`, { text: text.value });
			if (!answer) return (button.disabled = false);
			form.replaceChildren(el("p", { class: "note" }, t("taskSent")));
			byId("task-title").focus();
		});
		return form;
	}

	choose(name) {
		const before = this.chosen;
		this.chosen = name === before ? undefined : name;
		this.graph?.show(this.report.steps, this.chosen);
		this.explain();
		if (this.chosen) byId("task-detail").scrollIntoView({ block: "nearest" });
		else if (before) this.graph?.focus(before);
	}

	/** The chosen step, whole. */
	explain() {
		const step = this.report?.steps.find((step) => step.name === this.chosen);
		byId("task-detail").hidden = !step;
		if (!step) return;
		byId("task-step").textContent = t("taskDetail", { step: step.name });
		const facts = [
			["taskTook", took(step)], ["taskTries", step.tries > 1 ? String(step.tries) : ""], ["taskAfter", step.dependencies.join(", ")],
			["taskAsked", step.query], ["taskResult", step.result], ["error", step.error],
		];
		byId("task-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) =>
			[el("dt", {}, t(name)), el("dd", { class: name === "error" ? "error" : "text", dir: "auto" }, value)]));
	}

	async stop() {
		if (confirm(t("taskSure"))) await this.post(`/${encodeURIComponent(this.id)}/cancel`, {});
	}

	/** Sends something; the reader is told what went wrong. */
	async post(path, body) {
		this.say("");
		const answer = await ask(this.route(path), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).catch(() => undefined);
		if (answer?.ok) return answer;
		this.say(answer ? await detail(answer) : t("taskLost"));
		return undefined;
	}

	say(words) {
		byId("task-wrong").textContent = words;
	}

	route(path) {
		return this.at(`v1/tasks${path}`);
	}
}

async function detail(answer) {
	const problem = await answer.json().catch(() => ({}));
	return problem.detail ?? problem.title ?? `${answer.status}`;
}

/** The view's markup; its words come from the tables of words. */
function markup() {
	const words = (tag, name, attributes = {}, ...children) => el(tag, { "data-t": name, ...attributes }, ...children);
	const back = () => words("button", "back", { type: "button", class: "plain to-chat" });
	return el("section", { id: "task-view" },
		el("p", { id: "task-wrong", class: "error", role: "alert" }),
		el("div", { id: "task-live", class: "unseen", "aria-live": "polite" }),
		el("div", { id: "task-start" },
			el("div", { class: "bar-of" }, words("h2", "taskNew"), back()),
			el("form", { id: "task-form" },
				el("p", { id: "task-which" }, words("label", "taskWhich", { for: "task-name" }), " ", el("select", { id: "task-name" })),
				el("div", { id: "task-about" }),
				words("label", "taskInput", { for: "task-input" }),
				el("textarea", { id: "task-input", rows: "3" }),
				words("button", "taskBegin", { type: "submit", class: "plain strong" })),
			el("div", { id: "task-some" }, words("h3", "taskBegun"), el("ul", { id: "task-begun" }))),
		el("div", { id: "task-watch" },
			el("div", { class: "bar-of" },
				el("h2", { id: "task-title", tabindex: "-1", dir: "auto" }),
				el("span", { id: "task-state" }), el("span", { id: "task-time" }),
				words("a", "taskAll", { class: "plain", href: "#task=" }), back(),
				words("button", "taskStop", { type: "button", id: "task-stop", class: "plain" })),
			el("p", { class: "progress" }, el("progress", { id: "task-bar" }), el("span", { id: "task-done" })),
			el("div", { id: "task-asks" }),
			el("section", { id: "task-end", "aria-labelledby": "task-ended" },
				words("h3", "taskResult", { id: "task-ended" }), el("p", { id: "task-error", class: "error" }), el("p", { id: "task-result", class: "text", dir: "auto" })),
			el("div", { class: "two" },
				el("div", { id: "task-graph", tabindex: "0", role: "region", "data-t-label": "taskGraph" }),
				el("section", { id: "task-detail", "aria-labelledby": "task-step" },
					el("div", { class: "bar-of" }, el("h3", { id: "task-step" }), words("button", "taskClose", { type: "button", id: "task-close", class: "plain" })),
					el("dl", { id: "task-facts" })))));
}
