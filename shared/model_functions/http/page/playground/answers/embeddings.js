views["feature-extraction"] = (answer, data) => {
  if (!Array.isArray(answer)) return null;
  if (typeof data === "string") return vectorView(answer);
  if (Array.isArray(data)) return data.every((one) => typeof one === "string") ? matrixView(data, answer) : null;
  if (data?.documents) return alikeView(answer.map(({ index, score }) => [data.documents[index], score]));
  return data?.sentences ? alikeView(data.sentences.map((text, index) => [text, answer[index]]).sort((a, b) => b[1] - a[1])) : null;
};

const shortened = (text) => (text.length > 60 ? `${text.slice(0, 57)}…` : text);
const lengthOf = (vector) => Math.hypot(...vector);

function cosine(one, other) {
  const product = one.reduce((sum, value, index) => sum + value * other[index], 0);
  return product / (lengthOf(one) * lengthOf(other) || 1);
}

function vectorView(vector) {
  const largest = Math.max(...vector.map(Math.abs)) || 1;
  const cells = vector.slice(0, 256).map((value) => shaded("span", value / largest));
  const facts = `${vector.length} numbers, together of length ${lengthOf(vector).toFixed(3)}`;
  const first = vector.slice(0, 6).map((value) => value.toFixed(4)).join(", ");
  return make("div", {}, make("p", { class: "prediction" }, facts), make("div", { class: "vector", "aria-hidden": "true" }, ...cells),
    make("p", { class: "soft" }, `${first}, …`));
}

// Every text against every other: numbers first, colours beside them.
function matrixView(texts, vectors) {
  const names = texts.map((text, index) => make("li", {}, shortened(text)));
  const heads = texts.map((_, index) => make("th", { scope: "col" }, String(index + 1)));
  const rows = vectors.map((one, index) => make("tr", {}, make("th", { scope: "row" }, String(index + 1)), ...vectors.map((other) => {
    const share = cosine(one, other);
    const cell = shaded("td", share);
    cell.append(share.toFixed(2));
    return cell;
  })));
  const table = make("table", { class: "matrix" }, make("caption", {}, "Cosine of the vectors"),
    make("thead", {}, make("tr", {}, make("td", {}), ...heads)), make("tbody", {}, ...rows));
  return make("div", {}, make("ol", { dir: "auto" }, ...names), make("div", { class: "scroll" }, table));
}

// Best first. A distance is a negative number, and has no bar.
function alikeView(pairs) {
  const largest = Math.max(1, ...pairs.map(([, score]) => score));
  return make("table", {}, ...pairs.map(([text, score]) =>
    tableRow(shortened(text), score > 0 ? sized("div", "bar", score / largest) : "", score.toFixed(3))));
}

function shaded(tag, share) {
  const node = make(tag, { class: share < 0 ? "shade against" : "shade" });
  node.style.setProperty("--share", `${Math.round(40 * Math.min(1, Math.abs(share)))}%`);
  return node;
}
