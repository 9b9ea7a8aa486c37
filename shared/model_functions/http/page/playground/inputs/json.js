// For an input that no form is made for yet: what goes out, as it is written.
inputs.json = jsonInput;

function jsonInput() {
  const area = make("textarea", { id: "data", "data-path": "data", spellcheck: "false", class: "code" });
  const node = make("div", {}, make("label", { for: "data" }, "Data, as JSON"), area);
  const write = (data) => { area.value = written(data, JSON.stringify(data, null, 2)); };
  node.append(jsonFile(node, write));
  return { node, read: () => parsedOr(area.value), write, fits: () => true };
}

// What is no JSON goes out as it is written: the function says what is wrong.
function parsedOr(text) {
  try { return JSON.parse(text); } catch { return text; }
}

// The text that parsedOr() reads the value from: what went out as no JSON comes back as it was.
const written = (value, json) => (typeof value === "string" && parsedOr(value) === value ? value : json);
