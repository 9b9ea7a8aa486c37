// A control for each type of a JSON Schema: { node, read(), write(value) }.
function controlFor(schema) {
  const [type, nullable] = [schema.type].flat();
  if (type === "array") return linesControl();
  if (schema.enum) return selectControl(schema.enum, nullable);
  if (type === "boolean") return nullable ? selectControl([true, false], nullable) : checkControl();
  return type === "string" ? stringControl(nullable) : numberControl(type, schema);
}

// What may be given, and what holds where nothing is.
function bounds({ type, minimum, maximum, maxItems, maxLength, default: preset }) {
  const most = (count, noun) => (count === undefined ? "" : `at most ${count} ${noun}`);
  const among = [
    range(minimum, maximum < Number.MAX_SAFE_INTEGER ? maximum : undefined),
    [type].flat()[0] === "array" ? most(maxItems, "lines") : most(maxLength, "characters"),
  ];
  // What a box is set to is to be seen.
  const shown = preset === undefined || preset === "" || type === "boolean" ? "" : `default ${preset}`;
  return [...among, shown].filter(Boolean).join(", ");
}

function range(low, high) {
  if (low === undefined) return high === undefined ? "" : `at most ${high}`;
  return high === undefined ? `at least ${low}` : `${low} to ${high}`;
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
  const node = make("input", { type: "text", dir: "auto", autocomplete: "off", spellcheck: "false" });
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
