// The function does not know under which address it is reached; the browser does.
const address = location.href.replace(/[?#].*$/, "").replace(/\/docs$/, "");
for (const place of document.querySelectorAll("pre b")) place.textContent = address;
document.getElementById("hint").textContent =
  "Paste the commands below into a shell. The same as data: GET /openapi.json, OpenAPI 3.1.";
