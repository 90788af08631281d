// Runs before the first paint, so that neither colours nor language change under the reader's eyes.
try {
	const kept = (name) => JSON.parse(localStorage.getItem("cota." + name));
	const theme = kept("theme");
	if (theme) document.documentElement.dataset.theme = theme;
	document.documentElement.lang = kept("language") || (/^zh\b/i.test(navigator.language) ? "zh" : "en");
} catch {
	// A browser that keeps nothing for this page gets the system's colours.
}
