inputs.row = (schema) => rowInput(rowSchema(schema));

// One row is a form, several are a table; more rows than a page can hold go by curl.
const MOST_ROWS = 50;

function rowInput(schema) {
  const names = schema.required;
  const columns = names.map((name) => columnSchema(schema.properties[name]));
  const cells = (row) => (Array.isArray(row) ? row : names.map((name) => row?.[name]));
  const body = make("div");
  const node = make("div", {}, body);
  let rows = [];

  const values = () => rows.map((row) => row.map((control) => control.read()));
  const named = (row) => Object.fromEntries(names.map((name, index) => [name, row[index]]));
  const fits = (row) => cells(row).length === names.length && cells(row).every((value) => value === null || typeof value !== "object");
  const several = (data) => Array.isArray(data) && data.length > 0 && data.every((row) => row !== null && typeof row === "object");

  function show(shown) {
    rows = shown.length === 1 ? [formRow()] : shown.map((_, index) => tableRowControls(index));
    shown.forEach((row, index) => cells(row).forEach((value, column) => rows[index][column].write(value)));
    const add = actionButton("Add a row", changes(() => show([...values(), values().at(-1)])));
    add.disabled = rows.length >= MOST_ROWS;
    const shape = shown.length === 1
      ? make("div", { class: "columns" }, ...rows[0].map((control) => control.node))
      : make("div", { class: "rows" }, rowTable());
    body.replaceChildren(shape, add);
  }

  const formRow = () => names.map((name, column) => field(`data.${name}`, name, columns[column]));

  const tableRowControls = (index) => names.map((name, column) => {
    const control = controlFor(columns[column]);
    control.node.dataset.path = `data[${index}].${name}`;
    control.node.setAttribute("aria-label", `${name}, row ${index + 1}`);
    return control;
  });

  function rowTable() {
    const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)), make("td"));
    const lines = rows.map((row, index) => {
      const removal = changes(() => show(values().filter((_, place) => place !== index)));
      const remove = actionButton("×", removal, { "aria-label": `Remove row ${index + 1}` });
      return make("tr", {}, ...row.map((control) => make("td", {}, control.node)), make("td", {}, remove));
    });
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
  }

  const changes = (act) => () => { act(); update(); };

  const fitsAll = (data) => (several(data) ? data.length <= MOST_ROWS && data.every(fits) : fits(data));
  const write = (data) => show(several(data) ? data : [data]);

  show([names.map(() => null)]);
  node.append(jsonFile(node, (data) => (fitsAll(data) ? write(data) : `That is no row, nor a list of at most ${MOST_ROWS} rows, of ${names.join(", ")}.`)));
  return { node, fits: fitsAll, read: () => (rows.length === 1 ? named(values()[0]) : values().map(named)), write };
}

// A row may be sent alone or among others, named or listed: the named one is what a form can show.
function rowSchema(schema) {
  return schema.properties ? schema : (schema.anyOf ?? []).map(rowSchema).find(Boolean);
}

// A choice that may miss has null in its list as well as in its type.
function columnSchema(schema) {
  return schema.enum ? { ...schema, enum: schema.enum.filter((value) => value !== null) } : schema;
}
