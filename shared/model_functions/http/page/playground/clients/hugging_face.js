const SAME_WORDS = (...names) => Object.fromEntries(names.map((name) => [name, name]));

// Which method of InferenceClient asks the same, { method, data, words }: its words by ours; null where none does.
const huggingFaceMethods = {
  text_classification: ({ data, parameters }) => {
    if (typeof data !== "string") return null;
    if (!parameters?.candidate_labels) return { method: "text_classification", data, words: SAME_WORDS("top_k", "function_to_apply") };
    return { method: "zero_shot_classification", data, words: SAME_WORDS("candidate_labels", "multi_label", "hypothesis_template") };
  },
  token_classification: ({ data }) => ({ method: "token_classification", data, words: SAME_WORDS("aggregation_strategy") }),
  translation: ({ data }) => ({ method: "translation", data, words: { source_language: "src_lang", target_language: "tgt_lang" }, rest: "generate_parameters" }),
  summarization: ({ data }) => ({ method: "summarization", data, words: {}, rest: "generate_parameters" }),
  text_generation: ({ data }) => (Array.isArray(data)
    ? { method: "chat_completion", data, words: { max_new_tokens: "max_tokens", ...SAME_WORDS("temperature", "top_p", "stop", "seed", "stream") } }
    : { method: "text_generation", data, words: SAME_WORDS("max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "return_full_text", "stop", "seed", "stream") }),
  feature_extraction: ({ data }) => {
    if (data?.sentences) return { method: "sentence_similarity", data: data.source_sentence, more: { other_sentences: data.sentences }, words: {} };
    return data?.documents ? null : { method: "feature_extraction", data, words: SAME_WORDS("normalize", "prompt_name", "truncate") };
  },
  image_classification: (asked) => ({ method: "image_classification", data: imageFile(asked), words: SAME_WORDS("top_k") }),
  // Its labels: of numbers the client knows no such method.
  tabular: ({ data }) => {
    if (model.parameters.method?.default !== "predict_proba") return null;
    const rows = [data].flat();
    const table = Object.fromEntries(Object.keys(rows[0]).map((name) => [name, rows.map((row) => row[name])]));
    return { method: "tabular_classification", data: table, words: {} };
  },
};

function huggingFaceFits(asked) {
  const found = huggingFaceMethods[model.family]?.(asked);
  return Boolean(found) && Object.keys(asked.parameters ?? {}).every((name) => found.rest || found.words[name]);
}

function huggingFaceCode(asked) {
  const { method, data, more = {}, words, rest } = huggingFaceMethods[model.family](asked);
  const entries = Object.entries(asked.parameters ?? {});
  const others = entries.filter(([name]) => !words[name]);
  const args = { ...more, ...Object.fromEntries(entries.filter(([name]) => words[name]).map(([name, value]) => [words[name], value])) };
  if (others.length) args[rest] = Object.fromEntries(others);
  const token = accessKey === null ? "" : `, token=${literal(KEY_PLACEHOLDER)}`;
  return `from huggingface_hub import InferenceClient

client = InferenceClient(model=${literal(`${base}models/${asked.model_name}`)}${token})
answer = client.${method}(
    ${python(data, "    ")},
${keywords(args)})
${huggingFacePrint(method, asked.parameters?.stream)}`;
}

function huggingFacePrint(method, streams) {
  if (method === "chat_completion") {
    return streams
      ? 'for chunk in answer:\n    for choice in chunk.choices:\n        print(choice.delta.content or "", end="", flush=True)'
      : "print(answer.choices[0].message.content)";
  }
  return streams ? 'for piece in answer:\n    print(piece, end="", flush=True)' : "print(answer)";
}
