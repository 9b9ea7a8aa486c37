views.tabular = tabularView;

function tabularView(answer) {
  if (answer?.prediction === undefined) return null;
  const rows = Object.entries(answer.probabilities ?? {}).sort(([, a], [, b]) => b - a).map(([name, share]) =>
    tableRow(name, sized("div", "bar", share), percent(share)));
  const text = typeof answer.prediction === "string" ? answer.prediction : JSON.stringify(answer.prediction);
  return make("div", {}, make("p", { class: "prediction" }, text), make("table", {}, ...rows));
}
