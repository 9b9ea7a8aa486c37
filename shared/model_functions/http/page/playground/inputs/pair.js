inputs.pair = pairInput;

function pairInput() {
  const text = make("textarea", { id: "data", "data-path": "data", dir: "auto", spellcheck: "false" });
  const pair = make("textarea", { id: "pair", class: "short", "data-path": "data.text_pair", dir: "auto", spellcheck: "false" });
  return {
    node: make("div", {}, make("label", { for: "data" }, "Text"), text, make("label", { for: "pair" }, "Second text of a pair, if there is one"), pair),
    fits: (data) => typeof data === "string" || typeof data?.text === "string",
    read: () => (pair.value === "" ? text.value : { text: text.value, text_pair: pair.value }),
    write: (data) => { text.value = data.text ?? data; pair.value = data.text_pair ?? ""; },
  };
}
