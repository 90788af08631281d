// Runs before the first paint, so that neither colours nor language change under the reader's eyes.
try {
  const theme = localStorage.getItem("cota.theme");
  if (theme) document.documentElement.dataset.theme = theme;
  document.documentElement.lang = localStorage.getItem("cota.language") || (/^zh\b/i.test(navigator.language) ? "zh" : "en");
} catch {
  // A browser that keeps nothing for this page gets the system's colours.
}
