// Files come in as people bring them: chosen, dropped or pasted.
let pasteInto = () => {};
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) pasteInto(event.clipboardData.files); });

// Hands the file to read that is of the wanted type, or else the first.
function takeFiles(node, chooser, type, read) {
  const take = (files) => {
    const chosen = [...files].find((one) => one.type.startsWith(type)) ?? files[0];
    if (chosen) read(chosen);
  };
  chooser.addEventListener("change", () => take(chooser.files));
  node.addEventListener("dragover", (event) => { event.preventDefault(); node.classList.add("dropping"); });
  node.addEventListener("dragleave", () => node.classList.remove("dropping"));
  node.addEventListener("drop", (event) => { event.preventDefault(); node.classList.remove("dropping"); take(event.dataTransfer.files); });
  pasteInto = (files) => { if (node.isConnected) take(files); };
}

// Larger ones would make the page slow; code sends them as well.
const LARGEST_JSON = 2_000_000;

// A field for a JSON file, dropped anywhere on the node; write takes its value, or says in words what is wrong with it.
function jsonFile(node, write) {
  const file = make("input", { id: "file", type: "file", accept: ".json,application/json", "aria-describedby": "file-said" });
  const said = make("span", { id: "file-said", class: "soft", role: "status" });
  takeFiles(node, file, "application/json", async (chosen) => {
    said.textContent = await readJson(chosen, write);
    node.dispatchEvent(new Event("change", { bubbles: true }));
  });
  return make("div", { class: "file" }, make("label", { for: "file" }, "From a JSON file"), file, said);
}

async function readJson(file, write) {
  if (file.size > LARGEST_JSON) return `${file.name} has ${(file.size / 1e6).toFixed(1)} MB; the page takes 2 MB. Send it by code.`;
  let value;
  try {
    value = JSON.parse(await file.text());
  } catch (reason) {
    return `${file.name} is no JSON: ${reason.message}`;
  }
  return write(value) ?? "";
}
