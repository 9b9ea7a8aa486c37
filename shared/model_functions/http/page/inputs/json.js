// For an input that no form is made for yet: what goes out, as it is written.
inputs.json = jsonInput;

function jsonInput() {
  const area = make("textarea", { id: "data", "data-path": "data", spellcheck: "false" });
  const node = make("div", {}, make("label", { for: "data" }, "Data, as JSON"), area);
  const read = () => { try { return JSON.parse(area.value); } catch { return area.value; } };
  return { node, read, write: (data) => { area.value = JSON.stringify(data, null, 2); }, fits: () => true };
}
