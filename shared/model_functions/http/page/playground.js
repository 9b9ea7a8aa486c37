"use strict";

// The function may be mounted under any prefix, named with or without its slash.
const base = location.origin + location.pathname.replace(/\/*$/, "/");
const byId = (id) => document.getElementById(id);

// The forms by the kind of a model's input, and the views of answers by its task: one file each, in inputs/ and answers/.
// An input gives { node, read(), write(data), fits(data) }, and may give thumbnail(data, index) for its examples, and
// command(asked, quoted), where JSON would be no command to read; a view gives a node, or null for an unknown shape.
const inputs = {};
const views = {};

let models = [];
let model = null;
let form = null;
let pending = null;
let fieldCount = 0;

// Data reaches the page through here alone: a string becomes a text node, never markup.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const soft = (text) => make("span", { class: "soft" }, text);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const duration = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);
const isCold = (phases) => phases.some(({ name }) => name === "load" || name === "wait");

// Choosing a model

async function start() {
  byId("docs").href = `${base}docs`;
  byId("openapi").href = `${base}openapi.json`;
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  byId("form").addEventListener("input", update);
  byId("form").addEventListener("change", update);
  byId("copy").addEventListener("click", copy);
  byId("stop").addEventListener("click", () => pending?.abort("stopped"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  });
  addEventListener("hashchange", choose);
  const answer = await ask(base, { headers: { Accept: "application/json" } });
  byId("notice").replaceChildren(...(answer.error ? [errorView(answer)] : []));
  if (!answer.error) list(answer.value.models);
}

function list(published) {
  models = published;
  byId("models").replaceChildren(...models.map(({ model_name: name, task }) =>
    make("a", { href: `#model=${encodeURIComponent(name)}` }, name, soft(task))));
  byId("empty").hidden = models.length > 0;
  byId("workbench").hidden = !models.length;
  choose();
}

function choose() {
  const name = new URLSearchParams(location.hash.slice(1)).get("model");
  const chosen = models.find((one) => one.model_name === name) ?? models[0];
  if (!chosen || chosen === model) return;
  model = chosen;
  pending?.abort();
  for (const link of byId("models").children) link.setAttribute("aria-current", link.firstChild.data === model.model_name);
  document.title = `${model.model_name} · Model Functions`;
  byId("name").textContent = model.model_name;
  byId("description").textContent = model.description;
  byId("facts").textContent = `${model.task} · function ${model.function} · ${model.alias} is revision ${model.revision}`;
  byId("result").replaceChildren(soft("It appears here."));
  byId("timing").replaceChildren();
  byId("raw").hidden = true;
  buildForm();
}

// The form

function buildForm() {
  const data = (inputs[model.kind] ?? inputs.json)(model.data);
  form = { data, parameters: Object.entries(model.parameters).map(([name, schema]) => parameterField(name, schema)) };
  byId("input").replaceChildren(data.node);
  byId("controls").replaceChildren(...form.parameters.map((one) => one.node));
  byId("parameters").hidden = !form.parameters.length;
  byId("parameters").open = false;
  const examples = model.examples.filter(data.fits);
  byId("examples").replaceChildren(...examples.map(exampleButton));
  if (examples.length) data.write(examples[0]);
  update();
}

function exampleButton(example, index) {
  const label = typeof example === "string" && !form.data.thumbnail ? example.slice(0, 200) : `Example ${index + 1}`;
  const button = make("button", { type: "button", title: label }, form.data.thumbnail?.(example, index) ?? label);
  button.addEventListener("click", () => { form.data.write(example); update(); });
  return button;
}

function parameterField(name, schema) {
  const isOpen = schema.default === undefined;
  const made = field(`parameters.${name}`, name, isOpen ? { ...schema, type: [schema.type, "null"] } : schema);
  if (!isOpen) made.write(schema.default);
  const asPublished = JSON.stringify(schema.default);
  // People see an answer while it is written, where the model can do that.
  if (name === "stream" && model.streams) made.write(true);
  return { ...made, name, isChanged: () => made.read() !== null && JSON.stringify(made.read()) !== asPublished };
}

function field(path, name, schema) {
  const control = controlFor(schema);
  const hint = soft([schema.description, bounds(schema)].filter(Boolean).join("\n"));
  // A column's name may hold spaces, which an id must not.
  control.node.id = `field-${fieldCount += 1}`;
  control.node.dataset.path = path;
  hint.id = `${control.node.id}-hint`;
  if (hint.textContent) control.node.setAttribute("aria-describedby", hint.id);
  const label = make("label", { for: control.node.id }, name);
  return { ...control, node: make("div", { class: "field" }, label, control.node, hint) };
}

function bounds({ minimum, maximum, default: preset }) {
  const range = maximum < Number.MAX_SAFE_INTEGER ? `${minimum} to ${maximum}` : "";
  return [range, preset === undefined || preset === "" ? "" : `default ${preset}`].filter(Boolean).join(", ");
}

function controlFor(schema) {
  const [type, nullable] = [schema.type].flat();
  if (type === "array") return linesControl();
  if (schema.enum) return selectControl(schema.enum, nullable);
  if (type === "boolean") return nullable ? selectControl([true, false], nullable) : checkControl();
  return type === "string" ? stringControl(nullable) : numberControl(type, schema);
}

function selectControl(choices, nullable) {
  const node = make("select", {}, ...(nullable ? [null, ...choices] : choices).map((choice) =>
    make("option", { value: JSON.stringify(choice) }, String(choice ?? "–"))));
  return { node, read: () => JSON.parse(node.value), write: (value) => { node.value = JSON.stringify(value); } };
}

function checkControl() {
  const node = make("input", { type: "checkbox" });
  return { node, read: () => node.checked, write: (value) => { node.checked = value === true; } };
}

const valueControl = (node, read) => ({ node, read, write: (value) => { node.value = value ?? ""; } });

function stringControl(nullable) {
  const node = make("input", { type: "text", dir: "auto", autocomplete: "off" });
  return valueControl(node, () => (nullable && node.value === "" ? null : node.value));
}

// A list of strings, one a line, in which \\n stands for a line break.
function linesControl() {
  const node = make("textarea", { class: "lines", rows: 2, spellcheck: "false", placeholder: "one a line" });
  const read = () => {
    const lines = node.value.split("\n").filter(Boolean).map((line) => line.replaceAll("\\n", "\n"));
    return lines.length ? lines : null;
  };
  return { node, read, write: (value) => { node.value = (value ?? []).map((line) => line.replaceAll("\n", "\\n")).join("\n"); } };
}

function numberControl(type, { minimum, maximum }) {
  const node = make("input", { type: "number", inputmode: "decimal", step: type === "integer" ? 1 : "any" });
  if (type === "number" && maximum - minimum <= 10) node.step = maximum - minimum <= 1 ? 0.01 : 0.05;
  if (minimum !== undefined) node.min = minimum;
  if (maximum !== undefined) node.max = Math.min(maximum, Number.MAX_SAFE_INTEGER);
  // What is no number goes out as the empty text that the browser makes of it: the function says what is wrong.
  return valueControl(node, () => (node.value !== "" ? Number(node.value) : node.validity.badInput ? "" : null));
}

// The request

function request() {
  const changed = form.parameters.filter((one) => one.isChanged()).map((one) => [one.name, one.read()]);
  const parameters = changed.length ? { parameters: Object.fromEntries(changed) } : {};
  return { model_name: model.model_name, data: form.data.read(), ...parameters };
}

function update() {
  const asked = request();
  const count = Object.keys(asked.parameters ?? {}).length;
  byId("changed").textContent = count ? `${count} changed` : "as published";
  const stream = isStream(asked) ? " -N" : "";
  byId("command").textContent = form.data.command?.(asked, quoted) ?? curl(JSON.stringify(asked), stream);
}

const isStream = (asked) => Boolean(model.streams && asked.parameters?.stream);
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(json, option) {
  return `curl${option} ${quoted(`${base}predict`)} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(json)}`;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(byId("command").textContent);
    byId("copy").textContent = "Copied";
  } catch {
    // Browsers give the clipboard to secure pages only.
    getSelection().selectAllChildren(byId("command"));
    byId("copy").textContent = "Selected";
  }
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
}

async function send() {
  if (!model || pending) return;
  const [asked, controller] = [request(), new AbortController()];
  pending = controller;
  const started = Date.now();
  const clock = setInterval(() => { byId("clock").textContent = `${((Date.now() - started) / 1000).toFixed(1)} s`; }, 100);
  setWaiting(true);
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(asked), signal: controller.signal };
  const answer = await ask(`${base}predict`, options, isStream(asked) ? generationsStream : null);
  clearInterval(clock);
  pending = null;
  setWaiting(false);
  if (!controller.signal.aborted) showAnswer(answer, asked.data);
  else if (controller.signal.reason === "stopped") byId("timing").replaceChildren(soft("stopped"));
}

function setWaiting(waiting) {
  byId("send").disabled = waiting;
  byId("stop").hidden = !(waiting && isStream(request()));
  byId("hint").hidden = waiting;
  byId("pending").hidden = !waiting;
  byId("waiting").textContent = waiting ? "Waiting. The first call starts the function and loads the model." : "";
  byId("clock").textContent = "";
  byId("result").classList.remove("streaming");
  byId("answer").setAttribute("aria-busy", waiting);
}

async function ask(url, options, streamView = null) {
  const started = performance.now();
  const answered = (headers, value, error) => ({ headers, value, error, milliseconds: performance.now() - started });
  try {
    const response = await fetch(url, options);
    if (response.headers.get("Content-Type") === "text/event-stream") {
      const { name, value } = await lastEvent(response, streamView(byId("result")));
      return answered(response.headers, value, name === "answer" ? undefined : value.error);
    }
    const value = await response.json().catch(() => undefined);
    if (response.ok && value) return answered(response.headers, value);
    const message = "What came back is no answer of this function: something before it answered instead. Try again.";
    const foreign = { code: "unreadable_answer", status: response.status, message };
    return answered(response.headers, value, value?.error?.message ? value.error : foreign);
  } catch (reason) {
    const message = `No answer came: ${reason.message}. Is the function running, and this machine online?`;
    return answered(new Headers(), undefined, { code: "network", message });
  }
}

// Hands each piece on, and returns the event at the end: the whole answer, or an error.
async function lastEvent(response, show) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let [buffer, last] = ["", null];
  byId("waiting").textContent = "Writing.";
  byId("result").classList.add("streaming");
  for (;;) {
    const { done, value } = await reader.read();
    buffer += decoder.decode(value, { stream: !done });
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const [, name, data] = event.match(/^(?:event: (\w+)\n)?data: (.*)$/);
      if (name) last = { name, value: JSON.parse(data) };
      else show(JSON.parse(data));
    }
    if (done) break;
  }
  if (last) return last;
  return { name: "error", value: { error: { code: "network", message: "The stream broke off. Send it again." } } };
}

// The answer

function showAnswer(answer, data) {
  byId("result").replaceChildren(answer.error ? errorView(answer) : answerView(answer.value.body, data));
  byId("timing").replaceChildren(...timingView(answer));
  byId("raw").hidden = answer.value === undefined;
  byId("raw").lastChild.textContent = JSON.stringify(answer.value, null, 2);
  markInvalid((answer.error?.details ?? []).map((detail) => detail.path));
  byId("answer").scrollIntoView({ block: "nearest" });
}

function errorView({ error, headers }) {
  const { code, message, status, details = [] } = error;
  const more = details.filter((one) => one.message !== message).map((one) => `${one.path}: ${one.message}`);
  if (headers.has("Retry-After")) more.push(`Try again in ${headers.get("Retry-After")} s.`);
  const origin = make("span", { class: "soft" }, make("code", {}, code), status ? ` · status ${status}` : "");
  return make("div", { class: "error" }, make("strong", {}, message), ...more.map((line) => make("p", {}, line)), origin);
}

function markInvalid(paths) {
  for (const control of byId("form").querySelectorAll("[data-path]")) {
    const isInvalid = paths.includes(control.dataset.path);
    control.setAttribute("aria-invalid", isInvalid);
    if (isInvalid) control.closest("details")?.setAttribute("open", "");
  }
}

function answerView(answer, data) {
  return views[model.task]?.(answer, data) ?? make("pre", {}, JSON.stringify(answer, null, 2));
}

function tableRow(first, second, number) {
  return make("tr", {}, make("th", { scope: "row" }, first), make("td", {}, second), make("td", { class: "number" }, number));
}

// The page's policy refuses style attributes, not the style property.
function sized(tag, className, share) {
  const node = make(tag, { class: className });
  node.style.width = `${100 * share}%`;
  return node;
}

// Where the time went

function timingView({ headers, milliseconds, error }) {
  const entries = [...(headers.get("Server-Timing") ?? "").matchAll(/([\w-]+);dur=([\d.]+)/g)].filter(([, name]) => name !== "total");
  const phases = entries.map(([, name, value], index) => ({ name, value: Number(value), className: `tint-${index % 8}` }));
  const revision = headers.get("X-Model-Revision");
  const id = headers.get("X-Request-Id") ?? error?.request_id;
  const total = make("p", {}, ...temperature(phases, make("strong", {}, duration(milliseconds))));
  const ids = make("p", { class: "ids" }, ...[revision && `revision ${revision}`, id && `request ${id}`].filter(Boolean).map(soft));
  const rest = headers.get("Content-Type") === "text/event-stream" ? "writing and network" : "network";
  return [total, ...(phases.length ? phasesView(phases, milliseconds, rest) : []), ids];
}

function temperature(phases, total) {
  const badge = (text, tint) => make("span", { class: `badge ${tint}` }, text);
  if (isCold(phases)) return [badge("COLD", "tint-0"), " ", total, " ", soft("the model was loaded for this call")];
  const isWarm = phases.some(({ name }) => name === "infer");
  return isWarm ? [badge("WARM", "tint-2"), " ", total, " ", soft("the model was loaded already")] : [total];
}

function phasesView(phases, total, restName) {
  const rest = Math.max(0, total - phases.reduce((sum, { value }) => sum + value, 0));
  const name = isCold(phases) ? `function start, ${restName}` : restName;
  const parts = [...phases, { name, value: rest, className: "rest" }];
  const segments = parts.map((part) => sized("span", part.className, part.value / total));
  const entries = parts.map((part) =>
    make("li", {}, make("span", { class: `swatch ${part.className}` }), `${part.name} ${duration(part.value)}`));
  return [make("div", { class: "phases", "aria-hidden": "true" }, ...segments), make("ul", { class: "legend soft" }, ...entries)];
}
