// Light or dark as the system says, until the visitor chooses: a choice outlives the visit where the browser lets a
// page remember one.
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.theme ?? (systemIsDark.matches ? "dark" : "light")) === "dark";

function rememberedTheme() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

function rememberTheme(theme) {
  try {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch { /* Refused: the choice holds for this visit. */ }
}

function setTheme(theme) {
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

const showTheme = () => byId("theme").setAttribute("aria-pressed", isDark());

function switchTheme() {
  const wanted = isDark() ? "light" : "dark";
  // Who is back at what the system says follows it again.
  const theme = systemIsDark.matches === (wanted === "dark") ? null : wanted;
  setTheme(theme);
  rememberTheme(theme);
  showTheme();
}

systemIsDark.addEventListener("change", showTheme);
// Before anything is painted.
setTheme(rememberedTheme());
