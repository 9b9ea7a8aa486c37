inputs.prompt = promptInput;

// A text, or for a model that has learnt to chat a list of messages.
function promptInput(schema) {
  const text = textInput();
  if (!(schema.anyOf ?? []).some(({ items }) => items?.properties?.role)) return text;
  const chat = chatInput();
  const asText = actionButton("Text", () => { show(text); update(); });
  const asChat = actionButton("Chat", () => { show(chat); update(); });
  let shown = text;
  const show = (input) => {
    shown = input;
    asText.setAttribute("aria-pressed", input === text);
    asChat.setAttribute("aria-pressed", input === chat);
    text.node.hidden = input !== text;
    chat.node.hidden = input !== chat;
  };
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
  const roles = ["system", "user", "assistant"];
  const append = ({ role, content }) => {
    const isLast = () => list.children.length === 1;
    const choice = make("select", {}, ...[...new Set([...roles, role])].map((one) => make("option", { value: one }, one)));
    choice.value = role;
    const area = make("textarea", { dir: "auto", spellcheck: "false" });
    area.value = content;
    const remove = actionButton("Remove", () => { if (!isLast()) row.remove(); update(); }, { "aria-label": "Remove the message" });
    const row = make("div", { class: "message" }, make("label", {}, "Role", choice), remove, make("label", {}, "Content", area));
    list.append(row);
  };
  const add = actionButton("Add a message", () => {
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
