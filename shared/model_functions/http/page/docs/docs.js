// The function does not know under which address it is reached; the browser does.
const address = location.href.replace(/[?#].*$/, "").replace(/\/docs$/, "");

function fill(hint) {
  for (const place of document.querySelectorAll("pre b")) place.textContent = address;
  document.getElementById("hint").textContent =
    `Paste the commands below into a shell${hint}. The same as data: GET /openapi.json, OpenAPI 3.1.`;
}

// Where a key is needed, this is the page that asks for it, and the page itself is fetched with it. Not by fetch():
// what an XMLHttpRequest parses runs nothing, and needs no exception from the policy.
function fetchPage(key) {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.setRequestHeader("Accept", "text/html");
  request.setRequestHeader("X-Api-Key", key);
  request.onload = () => (request.status === 200 ? show(request.response) : refuse(request));
  request.onerror = () => refuse(request);
  request.send();
}

function show(page) {
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  fill(', with -H "X-Api-Key: YOUR-ACCESS-KEY" behind each');
  document.querySelector("nav summary").focus();
}

function refuse({ status }) {
  document.getElementById("refusal").textContent =
    status === 401 ? "This key does not count here." : `There is no answer with this key (${status || "no connection"}).`;
  document.getElementById("key").focus();
}

const door = document.getElementById("door");
if (door === null) {
  fill("");
} else {
  door.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = document.getElementById("key");
    const key = field.value.trim();
    field.value = "";
    fetchPage(key);
  });
  document.getElementById("key").focus();
}
