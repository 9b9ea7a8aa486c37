views.tabular = tabularView;

function tabularView(answer) {
  if (Array.isArray(answer)) return answer.every(isPrediction) ? predictionsTable(answer) : null;
  if (!isPrediction(answer)) return null;
  const node = make("div", {}, make("p", { class: "prediction" }, predictionText(answer.prediction)));
  for (const [name, shares] of probabilityGroups(answer.probabilities)) {
    const rows = Object.entries(shares).sort(([, a], [, b]) => b - a).map(([label, share]) =>
      tableRow(label, sized("div", "bar", share), percent(share)));
    node.append(...(name ? [make("p", {}, make("strong", {}, name))] : []), make("table", {}, ...rows));
  }
  return node;
}

const isPrediction = (answer) => answer?.prediction !== undefined;

function predictionText(prediction) {
  if (typeof prediction === "string") return prediction;
  if (prediction === null || typeof prediction !== "object") return JSON.stringify(prediction);
  const named = Array.isArray(prediction) ? prediction.map(predictionText) : Object.entries(prediction).map(([name, value]) => `${name}: ${predictionText(value)}`);
  return named.join(", ");
}

// Of several outputs, each has its own probabilities: by its name, or in order.
function probabilityGroups(probabilities) {
  const groups = Object.entries(probabilities ?? {});
  return groups.some(([, value]) => typeof value === "object") ? groups : [["", probabilities ?? {}]];
}

function predictionsTable(answers) {
  const rows = answers.map((answer, index) => {
    const shares = Object.values(answer.probabilities ?? {});
    const surest = shares.length && shares.every((share) => typeof share === "number") ? percent(Math.max(...shares)) : "";
    return tableRow(`Row ${index + 1}`, predictionText(answer.prediction), surest);
  });
  return make("table", {}, ...rows);
}
