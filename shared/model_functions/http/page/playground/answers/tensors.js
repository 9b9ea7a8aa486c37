views.tensors = tensorsView;

const SHOWN_NUMBERS = 64;

function tensorsView(answer) {
  if (isLabels(answer)) return labelTable(answer);
  if (isRow(answer) && answer.length <= SHOWN_NUMBERS) return numberTable(answer);
  if (isPicture(answer)) return pictureView(answer);
  if (typeof answer === "string" || typeof answer === "number" || typeof answer === "boolean") {
    return make("p", { class: "prediction" }, String(answer));
  }
  if (Array.isArray(answer) && answer.length && answer.every((one) => isLabels(one))) {
    return make("ol", {}, ...answer.map((one) => make("li", {}, labelTable(one))));
  }
  if (answer === null || typeof answer !== "object" || Array.isArray(answer)) return null;
  const parts = Object.entries(answer).flatMap(([name, one]) =>
    [make("h4", {}, name), tensorsView(one) ?? make("pre", {}, JSON.stringify(one))]);
  return make("div", {}, ...parts);
}

const isLabels = (answer) => Array.isArray(answer) && answer.length > 0 && answer.every((one) => typeof one?.label === "string" && Number.isFinite(one?.score));
const isRow = (answer) => Array.isArray(answer) && answer.length > 0 && answer.every(Number.isFinite);
const isPicture = (answer) => Array.isArray(answer) && answer.length > 1 && answer.every((row) => isRow(row) && row.length === answer[0].length && row.length > 1) && answer.length * answer[0].length <= GRID_CELLS;

function labelTable(labels) {
  const [best] = labels;
  const rows = labels.map(({ label, score }) => tableRow(label, sized("div", "bar", Math.min(1, Math.max(0, score))), percent(score)));
  return make("div", {}, make("p", { class: "prediction" }, best.label), make("table", {}, ...rows));
}

function numberTable(numbers) {
  const most = largest([numbers]);
  return make("table", {}, ...numbers.map((value, index) =>
    tableRow(String(index), sized("div", value < 0 ? "bar negative" : "bar", Math.abs(value) / most), Number(value.toPrecision(6)).toString())));
}

function pictureView(rows) {
  const label = `${rows.length} rows of ${rows[0].length} numbers, as shades.`;
  const canvas = make("canvas", { class: "grid", width: rows[0].length * 24, height: rows.length * 24, role: "img", "aria-label": label });
  paintCells(canvas, rows);
  return canvas;
}
