inputs.sentences = sentencesInput;

// What may be asked of sentences: the label of the one text, that of the others, and the fields of the request.
const askedOf = {
  "Vectors": { others: "Texts, one a line" },
  "Similarity": { one: "Text", others: "What it is compared with, one a line", fields: ["source_sentence", "sentences"] },
  "Ranking": { one: "Query", others: "Documents, one a line", fields: ["query", "documents"] },
};

function sentencesInput() {
  const kind = make("select", { id: "asked-of" }, ...Object.keys(askedOf).map((name) => make("option", {}, name)));
  const one = make("textarea", { id: "one", class: "short", dir: "auto", spellcheck: "false" });
  const others = make("textarea", { id: "data", "data-path": "data", dir: "auto", spellcheck: "false" });
  const oneLabel = make("label", { for: "one" });
  const othersLabel = make("label", { for: "data" });
  const first = make("div", {}, oneLabel, one);
  const show = () => {
    const asked = askedOf[kind.value];
    first.hidden = !asked.fields;
    oneLabel.textContent = asked.one ?? "";
    othersLabel.textContent = asked.others;
  };
  kind.addEventListener("change", show);
  show();
  const lines = () => others.value.split("\n").filter((line) => line.trim() !== "");
  return {
    node: make("div", {}, make("label", { for: "asked-of" }, "What to ask"), kind, first, othersLabel, others),
    fits: (data) => [data].flat().every((item) => typeof item === "string") || formOf(data) !== "Vectors",
    read: () => {
      const { fields } = askedOf[kind.value];
      if (fields) return { [fields[0]]: one.value, [fields[1]]: lines() };
      return lines().length === 1 ? lines()[0] : lines();
    },
    write: (data) => {
      kind.value = formOf(data);
      const { fields } = askedOf[kind.value];
      one.value = fields ? data[fields[0]] : "";
      others.value = (fields ? data[fields[1]] : [data].flat()).join("\n");
      show();
    },
  };
}

const formOf = (data) => (data.documents ? "Ranking" : data.sentences ? "Similarity" : "Vectors");
