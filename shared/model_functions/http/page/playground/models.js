// Which model is asked: the address says it, so that a link can.
const MANY_MODELS = 8;
const narrow = matchMedia("(max-width: 48rem)");

let models = [];
let model = null;

function list(published) {
  models = published;
  byId("models").replaceChildren(...models.map(({ model_name: name, task }) =>
    make("a", { href: `#model=${encodeURIComponent(name)}` }, name, soft(task))));
  byId("finding").hidden = models.length <= MANY_MODELS;
  byId("empty").hidden = models.length > 0;
  byId("workbench").hidden = !models.length;
  choose();
  foldModels();
}

// On a phone the list would stand before everything else.
function foldModels() {
  byId("choice").open = !narrow.matches;
}

function find() {
  const wanted = byId("find").value.trim().toLowerCase();
  for (const link of byId("models").children) link.hidden = !link.textContent.toLowerCase().includes(wanted);
  byId("none-found").hidden = [...byId("models").children].some((link) => !link.hidden);
}

function choose() {
  const name = new URLSearchParams(location.hash.slice(1)).get("model");
  const chosen = models.find((one) => one.model_name === name) ?? models[0];
  if (chosen && chosen !== model) show(chosen);
}

function show(chosen) {
  model = chosen;
  abandon();
  for (const link of byId("models").children) {
    if (link.firstChild.data === model.model_name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  document.title = `${model.model_name} · Model Functions`;
  byId("chosen").textContent = model.model_name;
  byId("name").textContent = model.model_name;
  byId("description").textContent = model.description;
  byId("facts").textContent = `${model.task} · function ${model.function} · ${model.alias} is revision ${model.revision}`;
  clearAnswer();
  buildForm();
  foldModels();
}
