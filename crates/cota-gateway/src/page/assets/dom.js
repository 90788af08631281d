// Making elements. Text is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes (`on...` are listeners, false leaves one out) and children: elements and strings. */
export function el(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
	return element;
}
