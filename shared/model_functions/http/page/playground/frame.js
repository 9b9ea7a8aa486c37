"use strict";

// All files of this folder are one script: this one is its first, start() its last line.

// The function may be mounted under any prefix, named with or without its slash.
const base = location.origin + location.pathname.replace(/\/*$/, "/");
const byId = (id) => document.getElementById(id);

// The forms by the kind of a model's input, and the views of answers by its task: one file each, in inputs/ and answers/.
// An input gives { node, read(), write(data), fits(data) }, and may give thumbnail(data, index) for its examples, and
// isFile, where the data is a file in base64; a view gives a node, or null for an unknown shape.
const inputs = {};
const views = {};

// Data reaches the page through here alone: a string becomes a text node, never markup.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function actionButton(text, act, attributes = {}) {
  const node = make("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", act);
  return node;
}

const soft = (text) => make("span", { class: "soft" }, text);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const duration = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);

async function start() {
  byId("docs").href = `${base}docs`;
  byId("openapi").href = `${base}openapi.json`;
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  byId("form").addEventListener("input", update);
  byId("form").addEventListener("change", update);
  byId("stop").addEventListener("click", stop);
  byId("find").addEventListener("input", find);
  byId("clients").addEventListener("change", showCode);
  byId("copy").addEventListener("click", copy);
  byId("forget").addEventListener("click", forgetCalls);
  byId("theme").addEventListener("click", switchTheme);
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("name").focus(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
    if (event.key === "Escape") stop();
  });
  addEventListener("hashchange", choose);
  narrow.addEventListener("change", foldModels);
  byId("door").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
  byId("leave").addEventListener("click", () => location.reload());
  byId("openapi").addEventListener("click", fetchDescription);
  showTheme();
  await open();
}
