// What this browser keeps: who it is, which conversations it had, and which messages still want an answer.

const MOST_CONVERSATIONS = 50;
const kept = new Map();

/** A name that nobody else has. */
export function fresh(prefix) {
	const bytes = crypto.getRandomValues(new Uint8Array(10));
	return prefix + Array.from(bytes, (byte) => (byte % 36).toString(36)).join("") + Date.now().toString(36);
}

export function read(name, otherwise) {
	try {
		return JSON.parse(localStorage.getItem("cota." + name)) ?? otherwise;
	} catch {
		return kept.get(name) ?? otherwise;
	}
}

export function write(name, value) {
	kept.set(name, value);
	try {
		localStorage.setItem("cota." + name, JSON.stringify(value));
	} catch {
		// Full or forbidden: it lasts as long as the page.
	}
}

/** As whom this browser speaks. */
export function sender() {
	const known = read("sender");
	if (known) return known;
	const made = fresh("web-");
	write("sender", made);
	return made;
}

/** This browser's conversations, the last one first: `{id, bot, title}`. */
export const conversations = () => read("conversations", []);

export function remember(conversation) {
	const others = conversations().filter((other) => other.id !== conversation.id);
	write("conversations", [conversation, ...others].slice(0, MOST_CONVERSATIONS));
}

export function forget(id) {
	write("conversations", conversations().filter((other) => other.id !== id));
	write("unanswered", unanswered().filter((message) => message.conversation !== id));
}

/** This browser's messages without an answer: `{conversation, id, text, isKnown}`, known to the server or not. */
export const unanswered = () => read("unanswered", []);

export function keepUnanswered(message) {
	write("unanswered", [...unanswered().filter((other) => other.id !== message.id), message]);
}

export function dropUnanswered(id) {
	if (unanswered().some((message) => message.id === id)) write("unanswered", unanswered().filter((message) => message.id !== id));
}
