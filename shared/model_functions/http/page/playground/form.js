// A form for the model's input and its parameters, off their schemas.
let form = null;
let fieldCount = 0;

function buildForm() {
  const data = (inputs[model.kind] ?? inputs.json)(model.data);
  form = { data, parameters: Object.entries(model.parameters).map(([name, schema]) => parameterField(name, schema)) };
  byId("input").replaceChildren(data.node);
  byId("controls").replaceChildren(...form.parameters.map((one) => one.node));
  byId("parameters").hidden = !form.parameters.length;
  byId("parameters").open = false;
  const examples = model.examples.filter(data.fits);
  byId("examples").replaceChildren(...examples.map(exampleButton));
  byId("examples").hidden = !examples.length;
  if (examples.length) data.write(examples[0]);
  update();
}

function exampleButton(example, index) {
  const label = typeof example === "string" && !form.data.thumbnail ? example.slice(0, 200) : `Example ${index + 1}`;
  const shown = form.data.thumbnail?.(example, index) ?? label;
  return actionButton(shown, () => { form.data.write(example); update(); }, { title: label });
}

function parameterField(name, schema) {
  const preset = schema.default ?? null;
  const made = field(`parameters.${name}`, name, preset === null ? { ...schema, type: [schema.type, "null"] } : schema);
  made.write(preset);
  // People see an answer while it is written, where the model can do that.
  if (name === "stream" && model.streams) made.write(true);
  const isChanged = () => made.read() !== null && JSON.stringify(made.read()) !== JSON.stringify(preset);
  return { ...made, name, preset, isChanged };
}

function field(path, name, schema) {
  const control = controlFor(schema);
  const hint = soft([schema.description, bounds(schema)].filter(Boolean).join("\n"));
  // A column's name may hold spaces, which an id must not.
  control.node.id = `field-${fieldCount += 1}`;
  control.node.dataset.path = path;
  hint.id = `${control.node.id}-hint`;
  if (hint.textContent) control.node.setAttribute("aria-describedby", hint.id);
  const label = make("label", { for: control.node.id }, name);
  return { ...control, node: make("div", { class: "field" }, label, control.node, hint) };
}

function request() {
  const changed = form.parameters.filter((one) => one.isChanged()).map((one) => [one.name, one.read()]);
  const parameters = changed.length ? { parameters: Object.fromEntries(changed) } : {};
  return { model_name: model.model_name, data: form.data.read(), ...parameters };
}

function fill({ data, parameters = {} }) {
  form.data.write(data);
  for (const one of form.parameters) one.write(parameters[one.name] ?? one.preset);
  update();
}

function update() {
  const count = Object.keys(request().parameters ?? {}).length;
  byId("changed").textContent = count ? `${count} changed` : "as published";
  offerClients();
}

function markInvalid(paths) {
  for (const control of byId("form").querySelectorAll("[data-path]")) {
    const isInvalid = paths.includes(control.dataset.path);
    control.setAttribute("aria-invalid", isInvalid);
    if (isInvalid) control.closest("details")?.setAttribute("open", "");
  }
}
