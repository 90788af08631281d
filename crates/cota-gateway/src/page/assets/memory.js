// What this browser keeps: who it is, which conversations it had, and what it could not send yet.

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
  write("unsent", unsent().filter((message) => message.conversation !== id));
}

/** Messages that no server has acknowledged: `{conversation, id, text}`. */
export const unsent = () => read("unsent", []);

export function keepUnsent(message) {
  write("unsent", [...unsent().filter((other) => other.id !== message.id), message]);
}

export function dropUnsent(id) {
  if (unsent().some((message) => message.id === id)) write("unsent", unsent().filter((message) => message.id !== id));
}
