views.translation = (answer) => textsView(answer, "translation_text");
views.summarization = (answer) => textsView(answer, "summary_text");

function textsView(answer, key) {
  const texts = [answer].flat().map((one) => one?.[key]);
  if (!texts.every((text) => typeof text === "string")) return null;
  const shown = (tag, text) => make(tag, { class: "text", dir: "auto" }, text || soft("(an empty text)"));
  return Array.isArray(answer) ? make("ol", {}, ...texts.map((text) => shown("li", text))) : shown("p", texts[0]);
}
