// A task's steps as a graph: what waits comes after what it waits for, from left to right, on a phone from top to bottom.

import { byId, el } from "./dom.js";
import { took } from "./task-time.js";
import { t } from "./words.js";

/** That of the page's own drawings. */
const SVG = document.querySelector("svg").namespaceURI;
/** Lines are led around other steps while there are not too many of them. */
const MOST_BENDS = 400;
/** How far a line beside the steps of a phone bulges, in pixels. */
const BULGE = { least: 10, most: 30 };

export class Graph {
	/** `chose(name)` is told which step the reader wants to see whole. */
	constructor(place, chose) {
		Object.assign(this, { place, chose, cards: new Map(), lines: [] });
		this.svg = document.createElementNS(SVG, "svg");
		this.svg.setAttribute("aria-hidden", "true");
		this.list = el("ol", { class: "levels" });
		this.place.replaceChildren(this.svg, this.list);
		this.watcher = new ResizeObserver(() => this.drawLines());
		this.watcher.observe(this.list);
	}

	/** Shows steps: new ones are placed, those that are known change where they stand. */
	show(steps, chosen) {
		const shape = JSON.stringify(steps.map((step) => [step.name, step.dependencies, step.round]));
		if (shape !== this.shape) this.arrange(steps);
		this.shape = shape;
		for (const step of steps) this.fill(this.cards.get(step.name), step, step.name === chosen);
		for (const { line, from } of this.lines) line.setAttribute("class", this.cards.get(from).state === "done" ? "done" : "");
		this.drawLines();
	}

	arrange(steps) {
		const plan = layout(steps);
		this.cards = new Map(steps.map((step) => [step.name, this.cards.get(step.name) ?? this.card(step)]));
		this.points = new Map();
		this.list.replaceChildren(...plan.levels.map((level) =>
			el("li", {}, el("ol", {}, level.map((spot) => {
				const item = spot.name ? el("li", {}, this.cards.get(spot.name).button) : el("li", { class: "bend", "aria-hidden": "true" });
				this.points.set(spot.key, item);
				return item;
			})))));
		this.lines = plan.lines.map(({ from, path }) => ({ from, path, line: document.createElementNS(SVG, "path") }));
		this.svg.replaceChildren(...this.lines.map(({ line }) => line));
	}

	card({ name }) {
		const [mark, state, agent, time, told] = ["mark", "state", "agent", "time", "told"].map((kind) => el("span", { class: kind }));
		mark.setAttribute("aria-hidden", "true");
		told.dir = "auto";
		const button = el("button", { type: "button", onclick: () => this.chose(name) },
			mark, el("b", {}, name), state, agent, time, told);
		return { button, parts: { state, agent, time, told } };
	}

	fill(card, step, isChosen) {
		card.state = step.state;
		const { button, parts } = card;
		button.className = `card ${step.state}`;
		button.setAttribute("aria-expanded", isChosen);
		button.setAttribute("aria-controls", "task-detail");
		set(parts.state, t(`is_${step.state}`));
		set(parts.agent, step.agent);
		set(parts.time, took(step));
		set(parts.told, step.result ?? step.error ?? step.query ?? "");
	}

	/** The time that running steps take goes on. */
	tick(steps) {
		for (const step of steps) if (step.started_at && !step.ended_at) set(this.cards.get(step.name).parts.time, took(step));
	}

	drawLines() {
		const { scrollWidth, scrollHeight } = this.list;
		this.svg.setAttribute("width", scrollWidth);
		this.svg.setAttribute("height", scrollHeight);
		const isDown = getComputedStyle(this.list).flexDirection === "column";
		const box = (key) => {
			const { offsetLeft: x, offsetTop: y, offsetWidth: w, offsetHeight: h } = this.points.get(key);
			return { left: x, right: x + w, middle: y + h / 2 };
		};
		for (const { line, path } of this.lines) line.setAttribute("d", isDown ? beside(box(path[0]), box(path.at(-1))) : across(path.map(box)));
	}

	focus(name) {
		this.cards.get(name)?.button.focus();
	}

	end() {
		this.watcher.disconnect();
	}
}

/** From box to box, through the bends between them. */
function across(boxes) {
	let d = "";
	for (const [n, to] of boxes.entries()) {
		if (n === 0) {
			d = `M${to.right} ${to.middle}`;
			continue;
		}
		const from = boxes[n - 1];
		const half = (to.left - from.right) / 2;
		d += `C${from.right + half} ${from.middle} ${to.left - half} ${to.middle} ${to.left} ${to.middle}`;
		if (n < boxes.length - 1) d += `H${to.right}`;
	}
	return d;
}

/** Down the left side of what lies between. */
function beside(from, to) {
	const bulge = Math.min(BULGE.most, BULGE.least + Math.abs(to.middle - from.middle) / 20);
	return `M${from.left} ${from.middle}C${from.left - bulge} ${from.middle} ${to.left - bulge} ${to.middle} ${to.left} ${to.middle}`;
}

/**
 * Where everything goes: `levels` of spots, steps and bends of lines; `lines` along keys of spots. A step comes right after the
 * last of those it waits for. One that was planned later comes after all that were planned before.
 */
export function layout(steps) {
	const places = new Map(steps.map((step, place) => [step.name, place]));
	const waits = dependencies(steps, places);
	const level = levelsOf(steps, waits);
	const levels = Array.from({ length: Math.max(-1, ...level) + 1 }, () => []);
	steps.forEach((step, place) => levels[level[place]].push({ key: step.name, name: step.name, before: waits[place].map((from) => steps[from].name) }));
	const lines = steps.flatMap((step, place) => waits[place].map((from) => ({ from: steps[from].name, to: step.name, span: [level[from], level[place]] })));
	const bends = lines.reduce((sum, { span }) => sum + span[1] - span[0] - 1, 0);
	for (const line of lines) {
		line.path = [line.from];
		for (let at = line.span[0] + 1; bends <= MOST_BENDS && at < line.span[1]; at += 1) {
			const key = `${line.from} ${at}`;
			const known = levels[at].find((spot) => spot.key === key);
			if (!known) levels[at].push({ key, before: [line.path.at(-1)] });
			line.path.push(key);
		}
		line.path.push(line.to);
	}
	const order = new Map();
	for (const spots of levels) {
		const middle = ({ before }) => before.reduce((sum, key) => sum + order.get(key), 0) / before.length;
		if (spots.some((spot) => spot.before.length)) spots.sort((one, other) => (middle(one) || 0) - (middle(other) || 0));
		spots.forEach((spot, n) => order.set(spot.key, n - (spots.length - 1) / 2));
	}
	return { levels, lines };
}

/** The places of the steps that each waits for; the first of a later plan wait for the last of the plan before. */
function dependencies(steps, places) {
	const waits = steps.map((step) => step.dependencies.map((name) => places.get(name)).filter((place) => place !== undefined));
	const awaited = new Set(waits.flat());
	return waits.map((own, place) => {
		const round = steps[place].round ?? 0;
		if (own.length || !round) return own;
		return steps.flatMap((step, before) => ((step.round ?? 0) === round - 1 && !awaited.has(before) ? [before] : []));
	});
}

function levelsOf(steps, waits) {
	const level = steps.map(() => 0);
	// As often as the longest path is long; a plan has no cycle.
	for (let changed = true, n = 0; changed && n <= steps.length; n += 1) {
		changed = false;
		waits.forEach((own, place) => {
			const at = Math.max(-1, ...own.map((from) => level[from])) + 1;
			if (at > level[place]) [level[place], changed] = [at, true];
		});
	}
	return level;
}

function set(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
