// One call at a time: sent, waited for, shown, and kept among the calls of this visit.
let pending = null;

const isStream = (asked) => Boolean(model.streams && asked.parameters?.stream);
const stop = () => pending?.abort("stopped");
const abandon = () => pending?.abort("abandoned");

async function send() {
  if (!model || pending) return;
  const [asked, controller] = [request(), new AbortController()];
  pending = controller;
  setWaiting(true, asked);
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(asked), signal: controller.signal };
  const answer = await ask(`${base}predict`, options, isStream(asked) ? generationsStream : null);
  pending = null;
  setWaiting(false);
  if (asksForKey(answer.error)) askForKey(answer.error);
  if (!controller.signal.aborted) showCall(keepCall(asked, answer));
  else if (controller.signal.reason === "stopped") stopped(keepCall(asked, null));
}

let clock;

function setWaiting(waiting, asked) {
  clearInterval(clock);
  const started = Date.now();
  if (waiting) clock = setInterval(() => { byId("clock").textContent = `${((Date.now() - started) / 1000).toFixed(1)} s`; }, 100);
  // A disabled button would lose the focus of who has just pressed it.
  byId("send").setAttribute("aria-disabled", waiting);
  byId("stop").hidden = !waiting;
  byId("hint").hidden = waiting;
  byId("pending").hidden = !waiting;
  byId("waiting").textContent = waiting ? "Waiting. The first call starts the function and loads the model." : "";
  byId("clock").textContent = "";
  byId("result").classList.remove("streaming");
  byId("answer").setAttribute("aria-busy", waiting);
}

async function ask(url, options, streamView = null) {
  const started = performance.now();
  const since = () => performance.now() - started;
  const answered = (headers, value, error, more) => ({ headers, value, error, milliseconds: since(), ...more });
  try {
    const response = await fetch(url, { ...options, headers: { ...options.headers, ...keyHeaders() } });
    if (response.headers.get("Content-Type") === "text/event-stream") {
      const { name, value, first } = await lastEvent(response, streamView(byId("result")), since);
      return answered(response.headers, value, name === "answer" ? undefined : value.error, { first });
    }
    const value = await response.json().catch(() => undefined);
    if (response.ok && value) return answered(response.headers, value);
    const message = "What came back is no answer of this function: something before it answered instead. Try again.";
    const foreign = { code: "unreadable_answer", status: response.status, message };
    return answered(response.headers, value, value?.error?.message ? value.error : foreign);
  } catch (reason) {
    const message = `No answer came: ${reason.message}. Is the function running, and this machine online?`;
    return answered(new Headers(), undefined, { code: "network", message });
  }
}
