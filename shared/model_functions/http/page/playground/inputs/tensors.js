// Tensors: an editor for nested lists that tells their shapes, and a grid to draw on for a small picture.
inputs.tensors = tensorsInput;

const GRID_CELLS = 32 * 32;

function tensorsInput(schema) {
  const specs = tensorSpecs(schema);
  const area = make("textarea", { id: "data", "data-path": "data", spellcheck: "false", class: "code", "aria-describedby": "shapes" });
  const shapes = make("ul", { id: "shapes", class: "shapes soft", "aria-live": "polite" });
  const grid = specs.length === 1 && drawable(specs[0]) ? tensorGrid(specs[0].shape, (rows) => { area.value = tensorText(rows); look(); }) : null;
  const look = () => {
    shapes.replaceChildren(...shapeLines(parsedOr(area.value), specs).map((line) => make("li", {}, line)));
    grid?.show(parsedOr(area.value));
  };
  area.addEventListener("input", look);
  const label = make("label", { for: "data" }, `Data, as JSON: ${specs.map(specText).join(", ")}`);
  const node = make("div", {}, ...(grid ? [grid.node] : []), label, area, shapes);
  const write = (data) => { area.value = written(data, tensorText(data)); look(); };
  node.append(jsonFile(node, write));
  return { node, read: () => parsedOr(area.value), write, fits: () => true };
}

// An item may be sent alone or among others, by name or not: the named one tells all inputs.
function tensorSpecs(schema) {
  const named = rowSchema(schema);
  return Object.entries(named?.properties ?? {}).map(([name, one]) => ({ name, ...tensorSpec(one), needed: named.required.includes(name) }));
}

function tensorSpec(schema) {
  const shape = [];
  let level = schema;
  for (; level.type === "array"; level = level.items) shape.push(level.minItems === level.maxItems ? level.minItems : null);
  return { shape: level.type ? shape : null, type: level.type, dtype: (schema.description ?? "").split(" ")[0] };
}

const shapeText = (shape) => (shape ? `(${shape.map((size) => size ?? "any").join(", ")})` : "of any shape");
const specText = ({ name, dtype, shape }) => `${name} ${dtype} ${shapeText(shape)}`;
const drawable = ({ shape, type }) =>
  type === "number" && shape?.length === 2 && shape.every(Boolean) && shape[0] > 1 && shape[1] > 1 && shape[0] * shape[1] <= GRID_CELLS;

// The sizes of nested lists; null where rows differ.
function sizesOf(value) {
  if (!Array.isArray(value)) return [];
  const [first, ...rest] = value.map(sizesOf);
  const same = first !== null && rest.every((sizes) => String(sizes) === String(first));
  return same ? [value.length, ...(first ?? [])] : null;
}

function shapeLines(value, specs) {
  // A text alone may be meant without its quotation marks.
  if (typeof value === "string" && specs[0]?.type !== "string") return ["This is no JSON yet."];
  if (value === null || typeof value !== "object") return specs.length === 1 ? [tensorLine(specs[0], value)] : [];
  if (!Array.isArray(value)) {
    return specs.filter(({ name, needed }) => needed || name in value).map((spec) =>
      (spec.name in value ? tensorLine(spec, value[spec.name]) : `${spec.name} is missing`));
  }
  if (specs.length > 1 || !specs[0]?.shape || !Array.isArray(sizesOf(value))) {
    return [`${value.length} items or rows${sizesOf(value) ? "" : ", not equally long"}`];
  }
  const many = sizesOf(value).length > specs[0].shape.length;
  return many ? [`${value.length} items; the first: ${tensorLine(specs[0], value[0])}`] : [tensorLine(specs[0], value)];
}

function tensorLine({ name, shape }, value) {
  const sizes = sizesOf(value);
  if (!sizes) return `${name} has rows that are not equally long`;
  const fits = !shape || (sizes.length === shape.length && shape.every((size, index) => size === null || size === sizes[index]));
  return fits ? `${name} is ${shapeText(sizes)}, as the model takes it` : `${name} is ${shapeText(sizes)}; the model takes ${shapeText(shape)}`;
}

// A row of numbers on a line of its own.
function tensorText(value, indent = "") {
  if (!Array.isArray(value)) {
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    const entries = Object.entries(value).map(([name, one]) => `${indent}  ${JSON.stringify(name)}: ${tensorText(one, `${indent}  `)}`);
    return `{\n${entries.join(",\n")}\n${indent}}`;
  }
  if (!value.some((one) => typeof one === "object")) return `[${value.map((one) => JSON.stringify(one)).join(", ")}]`;
  return `[\n${value.map((one) => `${indent}  ${tensorText(one, `${indent}  `)}`).join(",\n")}\n${indent}]`;
}

function tensorGrid([height, width], drawn) {
  const canvas = make("canvas", { class: "grid", width: width * 24, height: height * 24, role: "img", "aria-label": "The values as shades. Draw on it, or edit the numbers below." });
  const blank = () => Array.from({ length: height }, () => Array(width).fill(0));
  let rows = blank();
  let ink = 1;
  const paint = () => paintCells(canvas, rows);
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (offset, size, count) => Math.min(count - 1, Math.max(0, Math.floor((offset / size) * count)));
    return [at(event.clientY - box.top, box.height, height), at(event.clientX - box.left, box.width, width)];
  };
  const put = (event) => {
    const [row, column] = place(event);
    rows[row][column] = ink;
    drawn(rows);
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [row, column] = place(event);
    ink = rows[row][column] > largest(rows) / 2 ? 0 : Math.max(1, largest(rows));
    canvas.setPointerCapture(event.pointerId);
    put(event);
    // The form's own listener, which renews the command, hears no drawing.
    update();
  });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) { put(event); update(); } });
  const clear = actionButton("Clear", () => { rows = blank(); drawn(rows); update(); });
  paint();
  return {
    node: make("div", { class: "drawing" }, canvas, clear),
    show: (value) => {
      const sizes = sizesOf(value);
      const fits = sizes?.length === 2 && sizes[0] === height && sizes[1] === width;
      if (fits && value.flat().every(Number.isFinite)) rows = value.map((row) => [...row]);
      paint();
    },
  };
}

const largest = (rows) => Math.max(...rows.flat().map(Math.abs), 1e-9);

// Dark on light, whatever the colours of the page; red below zero.
function paintCells(canvas, rows) {
  const context = canvas.getContext("2d");
  const [tall, wide, most] = [canvas.height / rows.length, canvas.width / rows[0].length, Math.max(largest(rows), 1e-9)];
  context.clearRect(0, 0, canvas.width, canvas.height);
  rows.forEach((row, y) => row.forEach((value, x) => {
    context.globalAlpha = Math.min(1, Math.abs(value) / most);
    context.fillStyle = value < 0 ? "#a8201a" : "#1a2130";
    context.fillRect(x * wide, y * tall, wide - 1, tall - 1);
  }));
  context.globalAlpha = 1;
}
