inputs.text = textInput;

function textInput() {
  const area = make("textarea", { id: "data", "data-path": "data", dir: "auto", spellcheck: "false" });
  const node = make("div", {}, make("label", { for: "data" }, "Text"), area);
  return { ...valueControl(area, () => area.value), node, fits: (data) => typeof data === "string" };
}
