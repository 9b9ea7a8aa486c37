// The visitor's access key, where the function asks for one: it is kept in this variable alone, and is gone with the page.
let accessKey = null;

// What stands for it in code: there it would be copied into files and histories.
const KEY_PLACEHOLDER = "YOUR-ACCESS-KEY";

const keyHeaders = (key = accessKey) => (accessKey === null ? {} : { "X-Api-Key": key });
const asksForKey = (error) => error?.status === 401;

async function open() {
  const answer = await ask(base, { headers: { Accept: "application/json" } });
  if (asksForKey(answer.error)) return askForKey(answer.error);
  byId("notice").replaceChildren(...(answer.error ? [make("main", {}, errorView(answer))] : []));
  showKey();
  if (!answer.error) list(answer.value.models);
}

function askForKey({ message }) {
  byId("notice").replaceChildren();
  byId("refusal").textContent = accessKey === null ? "" : message;
  accessKey = null;
  byId("workbench").hidden = true;
  showKey();
  byId("entrance").hidden = false;
  byId("key").focus();
}

function enter() {
  accessKey = byId("key").value.trim();
  byId("key").value = "";
  open();
}

function showKey() {
  const hasKey = accessKey !== null;
  byId("entrance").hidden = true;
  byId("leave").hidden = !hasKey;
  if (model) update();
}

async function fetchDescription(event) {
  if (accessKey === null) return;
  event.preventDefault();
  const response = await fetch(`${base}openapi.json`, { headers: keyHeaders() });
  const address = URL.createObjectURL(await response.blob());
  make("a", { href: address, download: "openapi.json" }).click();
  URL.revokeObjectURL(address);
}
