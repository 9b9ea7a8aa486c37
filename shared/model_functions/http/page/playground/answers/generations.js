views["text-generation"] = generationsView;

const REASONS = { stop: "ended by itself", length: "cut at max_new_tokens" };

function generationsView(answer) {
  const written = [answer].flat();
  if (!written.every((one) => typeof one?.generated_text === "string")) return null;
  const views = written.map((one) => make("div", {}, generatedText(one.generated_text), generationFacts(one)));
  return Array.isArray(answer) ? make("ol", {}, ...views.map((view) => make("li", {}, view))) : views[0];
}

const generatedText = (text) => make("p", { class: "text", dir: "auto" }, text || soft("(an empty text)"));

function generationFacts({ finish_reason: reason, stop_sequence: stop, prompt_tokens: read, generated_tokens: count }) {
  const why = stop === undefined ? REASONS[reason] ?? reason : `ended by ${JSON.stringify(stop)}`;
  return soft(`${why} · ${read} tokens read, ${count} written`);
}

// While it is written: a paragraph for each answer, which grows. Returns what takes the next piece.
function generationsStream(target) {
  const rows = new Map();
  target.replaceChildren();
  return (piece) => {
    const key = `${piece.index ?? 0}.${piece.sequence ?? 0}`;
    if (!rows.has(key)) {
      rows.set(key, make("p", { class: "text written", dir: "auto" }));
      target.append(rows.get(key));
    }
    rows.get(key).append(piece.text);
  };
}
