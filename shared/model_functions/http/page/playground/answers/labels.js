views["image-classification"] = labelsView;
views["text-classification"] = labelsView;

// One list of { label, score }, or a list of them for several items.
function labelsView(answer) {
  if (!Array.isArray(answer)) return null;
  if (answer.length && answer.every(Array.isArray)) {
    const lists = answer.map(labelsView);
    return lists.every(Boolean) ? make("ol", {}, ...lists.map((list) => make("li", {}, list))) : null;
  }
  if (!answer.every((one) => typeof one?.label === "string" && typeof one.score === "number")) return null;
  if (!answer.length) return soft("No label is probable enough.");
  const rows = answer.map(({ label, score }) => tableRow(label, sized("div", "bar", score), percent(score)));
  return make("div", {}, make("p", { class: "prediction", dir: "auto" }, answer[0].label), make("table", {}, ...rows));
}
