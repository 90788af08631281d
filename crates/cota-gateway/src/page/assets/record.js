// The record of a conversation, read from the start and followed as it grows.

import { ask } from "./access.js";

const FIRST_DELAY = 300;
const LONGEST_DELAY = 10_000;

/**
 * Follows a conversation until `stop()`: calls `take(events)` with what is new, `refused(status)` where it may not be read.
 * A `nudge()` says that there is something to read. Nothing is held open while nobody sees the page.
 */
export function follow(address, { take, refused }) {
	const ending = new AbortController();
	let cursor = 0;
	let wake = () => {};
	let isNudged = false;
	let reading;
	const nudge = () => {
		isNudged = true;
		wake();
	};
	const nudged = async (ms) => {
		const woken = new Promise((done) => {
			wake = done;
			if (ms) setTimeout(done, ms);
		});
		if (!isNudged) await woken;
		isNudged = false;
	};
	const seen = () => {
		if (document.visibilityState === "visible") nudge();
		else reading?.abort();
	};
	document.addEventListener("visibilitychange", seen, { signal: ending.signal });

	async function read() {
		reading = new AbortController();
		const signal = AbortSignal.any([ending.signal, reading.signal]);
		const url = new URL(address);
		url.searchParams.set("after", cursor);
		const answer = await ask(url, { headers: { accept: "text/event-stream" }, signal, cache: "no-store" });
		if (!answer.ok) return answer.status;
		for await (const batch of events(answer.body)) {
			const fresh = batch.filter((event) => event.seq > cursor);
			if (fresh.length) {
				cursor = fresh.at(-1).seq;
				take(fresh);
			}
		}
		return 200;
	}

	(async () => {
		let delay = FIRST_DELAY;
		await nudged();
		while (!ending.signal.aborted) {
			const before = cursor;
			const status = document.visibilityState === "visible" ? await read().catch(() => 0) : -1;
			if (cursor > before) delay = FIRST_DELAY;
			if (status === 401 || status === 403) refused(status);
			await nudged(status === 404 || status < 0 || status === 401 || status === 403 ? undefined : delay);
			delay = Math.min(delay * 2, LONGEST_DELAY);
		}
	})();
	return { nudge, stop: () => (ending.abort(), nudge()) };
}

/** The events of a stream of Server-Sent Events, as many at a time as arrive together. */
async function* events(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		const blocks = (rest + part.value).split("\n\n");
		rest = blocks.pop();
		yield blocks.map(parse).filter((event) => event?.seq);
	}
}

function parse(block) {
	const lines = block.split("\n").filter((line) => line.startsWith("data:"));
	return lines.length ? JSON.parse(lines.map((line) => line.slice(5)).join("\n")) : undefined;
}
