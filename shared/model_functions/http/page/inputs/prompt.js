inputs.prompt = promptInput;

// A text, or for a model that has learnt to chat a list of messages.
function promptInput(schema) {
  const text = textInput();
  if (!(schema.anyOf ?? []).some(({ items }) => items?.properties?.role)) return text;
  const chat = chatInput();
  const [asText, asChat] = ["Text", "Chat"].map((name) => make("button", { type: "button" }, name));
  let shown = text;
  const show = (input) => {
    shown = input;
    asText.setAttribute("aria-pressed", input === text);
    asChat.setAttribute("aria-pressed", input === chat);
    text.node.hidden = input !== text;
    chat.node.hidden = input !== chat;
  };
  asText.addEventListener("click", () => { show(text); update(); });
  asChat.addEventListener("click", () => { show(chat); update(); });
  show(text);
  const kinds = make("div", { class: "kinds", role: "group", "aria-label": "Kind of prompt" }, asText, asChat);
  return {
    node: make("div", {}, kinds, text.node, chat.node),
    read: () => shown.read(),
    write: (data) => { show(chat.fits(data) ? chat : text); shown.write(data); },
    fits: (data) => text.fits(data) || chat.fits(data),
  };
}

function chatInput() {
  const list = make("div", { class: "messages", "data-path": "data" });
  const add = make("button", { type: "button" }, "Add a message");
  const roles = ["system", "user", "assistant"];
  const append = ({ role, content }) => {
    const isLast = () => list.children.length === 1;
    const choice = make("select", {}, ...[...new Set([...roles, role])].map((one) => make("option", { value: one }, one)));
    choice.value = role;
    const area = make("textarea", { dir: "auto", spellcheck: "false" });
    area.value = content;
    const remove = make("button", { type: "button", "aria-label": "Remove the message" }, "Remove");
    const row = make("div", { class: "message" },
      make("label", {}, "Role", choice), remove, make("label", {}, "Content", area));
    remove.addEventListener("click", () => { if (!isLast()) row.remove(); update(); });
    list.append(row);
  };
  add.addEventListener("click", () => {
    append({ role: list.lastChild?.querySelector("select").value === "user" ? "assistant" : "user", content: "" });
    list.lastChild.querySelector("textarea").focus();
    update();
  });
  append({ role: "user", content: "" });
  return {
    node: make("div", {}, list, add),
    read: () => [...list.children].map((row) =>
      ({ role: row.querySelector("select").value, content: row.querySelector("textarea").value })),
    write: (messages) => { list.replaceChildren(); messages.forEach(append); },
    fits: (data) => Array.isArray(data) && data.length > 0 && data.every((one) => typeof one?.role === "string"),
  };
}
