views["token-classification"] = entitiesView;

const tints = new Map();
const labelOf = (entity) => String(entity.entity_group ?? entity.entity);

function entitiesView(entities, text) {
  if (!Array.isArray(entities) || typeof text !== "string") return null;
  const sorted = [...entities].sort((a, b) => a.start - b.start);
  const rows = sorted.map((one) => tableRow(mark(one, one.word), labelOf(one), percent(one.score)));
  const found = rows.length ? make("table", {}, ...rows) : soft("No entity was found.");
  return make("div", {}, make("p", { class: "text", dir: "auto" }, ...highlighted(text, sorted)), found);
}

function highlighted(text, entities) {
  // Places count code points, as Python does; a JavaScript string counts an emoji twice.
  const points = Array.from(text);
  const slice = (from, to) => points.slice(from, to).join("");
  const nodes = [];
  let done = 0;
  for (const one of entities.filter(({ start, end }) => end > start)) {
    if (one.start < done) continue;
    nodes.push(slice(done, one.start), mark(one, slice(one.start, one.end), make("small", {}, labelOf(one))));
    done = one.end;
  }
  return [...nodes, slice(done)];
}

function mark(entity, ...children) {
  const kind = labelOf(entity).replace(/^[BIES]-/, "");
  if (!tints.has(kind)) tints.set(kind, tints.size % 8);
  return make("mark", { class: `tint-${tints.get(kind)}` }, ...children);
}
