// Where the time went: the function's own phases, and what is left of the time that passed here.
function phasesOf(headers) {
  const told = [...(headers.get("Server-Timing") ?? "").matchAll(/([\w-]+);dur=([\d.]+)/g)].filter(([, name]) => name !== "total");
  return told.map(([, name, value], index) => ({ name, value: Number(value), className: `tint-${index % 8}` }));
}

const isCold = (phases) => phases.some(({ name }) => name === "load" || name === "wait");
const isWarm = (phases) => !isCold(phases) && phases.some(({ name }) => name === "infer");

function timingView({ headers, milliseconds, first, error }) {
  const phases = phasesOf(headers);
  const revision = headers.get("X-Model-Revision");
  const id = headers.get("X-Request-Id") ?? error?.request_id;
  const ids = [revision && `revision ${revision}`, id && `request ${id}`].filter(Boolean);
  const rest = first === undefined ? "network" : "writing and network";
  return [totalView(phases, milliseconds, first), ...(phases.length ? phasesView(phases, milliseconds, rest) : []),
    make("p", { class: "ids" }, ...ids.map(soft))];
}

function totalView(phases, milliseconds, first) {
  const why = isCold(phases) ? "the model was loaded for this call" : isWarm(phases) ? "the model was loaded already" : "";
  const begun = first === undefined ? "" : `the first words after ${duration(first)}`;
  const said = [why, begun].filter(Boolean).join(" · ");
  return make("p", {}, ...temperature(phases), make("strong", {}, duration(milliseconds)), " ", ...(said ? [soft(said)] : []));
}

const badge = (text, className) => make("span", { class: `badge ${className}` }, text);

function temperature(phases) {
  if (isCold(phases)) return [badge("COLD", "tint-0"), " "];
  return isWarm(phases) ? [badge("WARM", "tint-2"), " "] : [];
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
