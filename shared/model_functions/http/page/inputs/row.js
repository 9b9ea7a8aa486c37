inputs.row = (schema) => rowInput(rowSchema(schema));

function rowInput(schema) {
  const names = schema.required;
  const fields = names.map((name) => field(`data.${name}`, name, schema.properties[name]));
  const cells = (row) => (Array.isArray(row) ? row : names.map((name) => row[name]));
  return {
    node: make("div", { class: "columns" }, ...fields.map((one) => one.node)),
    fits: (row) => cells(row).length === names.length && typeof cells(row)[0] !== "object",
    read: () => Object.fromEntries(names.map((name, index) => [name, fields[index].read()])),
    write: (row) => cells(row).forEach((value, index) => fields[index].write(value)),
  };
}

// A row may be sent alone or among others, named or listed: the named one is what a form can show.
function rowSchema(schema) {
  return schema.properties ? schema : (schema.anyOf ?? []).map(rowSchema).find(Boolean);
}
