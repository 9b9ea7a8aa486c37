// The calls of this visit, newest first. They are kept in this page alone, and are gone with it.
const MOST_CALLS = 50;

let calls = [];

// Args: the answer as ask() gives it; null for a stream that was stopped, of which what was written stays.
function keepCall(asked, answer) {
  const call = { model, asked, answer, written: [], at: new Date() };
  call.node = actionButton("", () => revisit(call), { class: "call" });
  call.node.append(...callLine(call));
  calls = [call, ...calls].slice(0, MOST_CALLS);
  listCalls();
  return call;
}

function listCalls() {
  byId("calls").replaceChildren(...calls.map((call) => make("li", {}, call.node)));
  byId("visit").hidden = !calls.length;
}

function callLine({ model: { model_name: name }, asked, answer, at }) {
  const phases = answer ? phasesOf(answer.headers) : [];
  const failed = answer?.error && badge(answer.error.code, "failed");
  const outcome = answer ? [...(failed ? [failed] : temperature(phases))] : [soft("stopped")];
  const took = answer ? duration(answer.milliseconds) : "";
  return [make("span", { class: "when soft" }, at.toLocaleTimeString([], { hour12: false })), " ",
    make("strong", {}, name), " ", make("span", { class: "gist soft", dir: "auto" }, gist(asked)), " ",
    make("span", { class: "outcome" }, ...outcome), " ", make("span", { class: "took" }, took)];
}

// What was asked, in a line.
function gist({ data, parameters }) {
  const said = form.data.isFile ? "an image" : typeof data === "string" ? data : JSON.stringify(data);
  return [said.slice(0, 200), ...Object.entries(parameters ?? {}).map(([name, value]) => `${name} ${JSON.stringify(value)}`)].join(" · ");
}

// Its input and its answer come back, as they were.
function revisit(call) {
  if (call.model === model) abandon();
  else show(call.model);
  location.hash = `model=${encodeURIComponent(model.model_name)}`;
  fill(call.asked);
  showCall(call);
}

function showCall(call) {
  if (call.answer) showAnswer(call.answer, call.asked.data);
  else showStopped(call.written);
  markCall(call);
}

// Of a stream that was stopped what was written until then stays.
function stopped(call) {
  if (byId("result").querySelector(".written")) call.written = [...byId("result").childNodes];
  showCall(call);
}

function showStopped(written) {
  byId("result").replaceChildren(...(written.length ? written : [soft("Stopped before an answer came.")]));
  byId("timing").replaceChildren(soft("stopped"));
  byId("raw").hidden = true;
  markInvalid([]);
}

function markCall(shown) {
  for (const call of calls) {
    if (call === shown) call.node.setAttribute("aria-current", "true");
    else call.node.removeAttribute("aria-current");
  }
}

function forgetCalls() {
  calls = [];
  listCalls();
  byId("answer-title").focus();
}
