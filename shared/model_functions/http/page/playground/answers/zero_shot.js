// Answers about labels of one's own come in columns, those about the model's labels in rows.
views["text-classification"] = (answer) => {
  const rows = zeroShotRows(answer) ?? answer;
  const isShare = ({ score }) => score >= 0 && score <= 1;
  return Array.isArray(rows) && rows.every((row) => "score" in row) && !rows.every(isShare) ? scoresView(rows) : labelsView(rows);
};

function zeroShotRows(answer) {
  if (!Array.isArray(answer?.labels) || !Array.isArray(answer.scores)) return null;
  return answer.labels.map((label, index) => ({ label, score: answer.scores[index] }));
}

// Of a regression, or of logits: numbers that are no shares.
function scoresView(rows) {
  return make("table", {}, ...rows.map(({ label, score }) => tableRow(label, "", score.toFixed(4))));
}
