// The same call as code. A client gives what writes it, and fits(asked) where it has no words for every request.
const clients = {
  curl: { code: curlCode },
  Python: { code: requestsCode },
  JavaScript: { code: fetchCode },
  "Hugging Face": { code: huggingFaceCode, fits: huggingFaceFits },
  OpenAI: { code: openaiCode, fits: openaiFits },
  Triton: { code: tritonCode, fits: tritonFits },
  KServe: { code: kserveCode, fits: kserveFits },
};

let preferred = "curl";

// Choices come and go with the request; what the visitor prefers is taken again as soon as it fits.
function offerClients() {
  const asked = request();
  const names = Object.keys(clients).filter((name) => clients[name].fits?.(asked) ?? true);
  const shown = [...byId("clients").querySelectorAll("input")].map((radio) => radio.value);
  if (String(names) !== String(shown)) byId("clients").replaceChildren(make("legend", { class: "unseen" }, "Client"), ...names.map(clientChoice));
  const chosen = names.includes(preferred) ? preferred : names[0];
  for (const radio of byId("clients").querySelectorAll("input")) radio.checked = radio.value === chosen;
  writeCode(asked);
}

function clientChoice(name) {
  return make("label", {}, make("input", { type: "radio", name: "client", value: name, class: "unseen" }), name);
}

function showCode(event) {
  preferred = event.target.value;
  writeCode(request());
}

function writeCode(asked) {
  const { value } = byId("clients").querySelector("input:checked");
  byId("code").textContent = clients[value].code(asked);
  // A command is a line or two, however long; of programs each line is one.
  byId("code").classList.toggle("wrapped", value === "curl");
}

async function copy() {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(byId("code").textContent);
  } catch {
    // Browsers give the clipboard to secure pages only.
    getSelection().selectAllChildren(byId("code"));
    said = "Selected";
  }
  byId("copy").textContent = said;
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
}

const PYTHON = { true: "True", false: "False", null: "None" };
const LONGEST_LINE = 80;

// A JSON value as source code: on a line where that is short, or holds numbers alone.
function literal(value, words = {}, indent = "") {
  if (value === null || typeof value !== "object") return typeof value === "string" ? JSON.stringify(value) : words[value] ?? String(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const parts = (inner) => Object.entries(value).map(([name, one]) =>
    (isList ? "" : `${JSON.stringify(name)}: `) + literal(one, words, inner));
  const line = open + parts(indent).join(", ") + close;
  const isPlain = isList && value.every((one) => one === null || typeof one === "number" || typeof one === "boolean");
  if (isPlain || (indent.length + line.length < LONGEST_LINE && !line.includes("\n"))) return line;
  const inner = `${indent}    `;
  return `${open}\n${parts(inner).map((part) => `${inner}${part},\n`).join("")}${indent}${close}`;
}

const python = (value, indent = "") => literal(value, PYTHON, indent);

// The keyword arguments of a call, one a line.
function keywords(args) {
  return Object.entries(args).map(([name, value]) => `    ${name}=${python(value, "    ")},\n`).join("");
}

// The file that stands for an image in code: its bytes in base64 would be a page long.
const imageFile = (asked) => `image.${imageKind(asked.data)}`;
const imageType = (asked) => `image/${imageKind(asked.data)}`;

// Where a file is the body, what else is asked stands in the URL.
function fileUrl({ model_name: name, parameters }) {
  return `${base}predict?${new URLSearchParams({ model_name: name, ...parameters })}`;
}
