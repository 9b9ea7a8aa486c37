// Our words that the client has another one for, or the same.
const OPENAI_WORDS = { max_new_tokens: "max_tokens", num_return_sequences: "n", temperature: "temperature", top_p: "top_p", stop: "stop", seed: "seed", stream: "stream" };

const isTexts = (data) => [data].flat().every((one) => typeof one === "string");

function openaiFits({ data, parameters }) {
  if (model.family === "feature_extraction") return isTexts(data) && !parameters;
  return model.family === "text_generation";
}

function openaiCode(asked) {
  const client = `from openai import OpenAI

client = OpenAI(base_url=${literal(`${base}v1`)}, api_key="none")
`;
  return client + (model.family === "feature_extraction" ? embeddingsCode(asked) : completionCode(asked));
}

function embeddingsCode({ model_name: name, data }) {
  return `answer = client.embeddings.create(
    model=${literal(name)},
    input=${python(data, "    ")},
)
print([one.embedding for one in answer.data])`;
}

function completionCode({ model_name: name, data, parameters = {} }) {
  const isChat = Array.isArray(data);
  const entries = Object.entries(parameters);
  const known = entries.filter(([key]) => OPENAI_WORDS[key]).map(([key, value]) => [OPENAI_WORDS[key], value]);
  const others = entries.filter(([key]) => !OPENAI_WORDS[key]);
  const args = { model: name, [isChat ? "messages" : "prompt"]: data, ...Object.fromEntries(known) };
  if (others.length) args.extra_body = Object.fromEntries(others);
  const call = `answer = client.${isChat ? "chat.completions" : "completions"}.create(\n${keywords(args)})\n`;
  if (!parameters.stream) return `${call}for choice in answer.choices:\n    print(choice.${isChat ? "message.content" : "text"})`;
  const piece = isChat ? 'choice.delta.content or ""' : "choice.text";
  return `${call}for chunk in answer:\n    for choice in chunk.choices:\n        print(${piece}, end="", flush=True)`;
}
