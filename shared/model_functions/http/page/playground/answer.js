// What came back, for people: by the task's own view, or as JSON where there is none for its shape.
function showAnswer(answer, data) {
  byId("result").replaceChildren(answer.error ? errorView(answer) : answerView(answer.value.body, data));
  byId("timing").replaceChildren(...timingView(answer));
  byId("raw").hidden = answer.value === undefined;
  byId("raw").lastChild.textContent = JSON.stringify(answer.value, null, 2);
  markInvalid((answer.error?.details ?? []).map((detail) => detail.path));
  byId("answer").scrollIntoView({ block: "nearest" });
}

function clearAnswer() {
  byId("result").replaceChildren(soft("It appears here."));
  byId("timing").replaceChildren();
  byId("raw").hidden = true;
  markCall(null);
}

function errorView({ error, headers }) {
  const { code, message, status, details = [] } = error;
  const more = details.filter((one) => one.message !== message).map((one) => `${one.path}: ${one.message}`);
  if (headers.has("Retry-After")) more.push(`Try again in ${headers.get("Retry-After")} s.`);
  const origin = make("span", { class: "soft" }, make("code", {}, code), status ? ` · status ${status}` : "");
  return make("div", { class: "error" }, make("strong", {}, message), ...more.map((line) => make("p", {}, line)), origin);
}

function answerView(answer, data) {
  return views[model.task]?.(answer, data) ?? make("pre", { tabindex: 0, role: "group", "aria-label": "Answer, as JSON" }, JSON.stringify(answer, null, 2));
}

function tableRow(first, second, number) {
  return make("tr", {}, make("th", { scope: "row" }, first), make("td", {}, second), make("td", { class: "number" }, number));
}

// The page's policy refuses style attributes, not the style property.
function sized(tag, className, share) {
  const node = make(tag, { class: className });
  node.style.width = `${100 * share}%`;
  return node;
}
