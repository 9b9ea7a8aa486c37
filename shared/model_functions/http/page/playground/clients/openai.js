// What our parameters are called there; the others go beside them, as it sends what it does not know itself.
const OPENAI_WORDS = { max_new_tokens: "max_tokens", num_return_sequences: "n", return_full_text: "echo" };
const OPENAI_OWN = ["frequency_penalty", "logprobs", "presence_penalty", "seed", "stop", "stream", "temperature", "top_p"];

const isTexts = (data) => [data].flat().every((one) => typeof one === "string");
const isChat = (data) => Array.isArray(data) && data.every((one) => typeof one?.role === "string");
const isSampled = ({ do_sample: asked }) => asked ?? model.parameters.do_sample?.default ?? false;

function openaiFits({ data, parameters = {} }) {
  if (model.family === "feature_extraction") return isTexts(data) && !Object.keys(parameters).length;
  if (model.family !== "text_generation") return false;
  // A chat cannot be repeated there, and several answers are drawn.
  return !(isChat(data) && parameters.return_full_text) && !(parameters.num_return_sequences > 1 && !isSampled(parameters));
}

function openaiCode(asked) {
  const client = `from openai import OpenAI

client = OpenAI(base_url=${literal(`${base}v1`)}, api_key=${literal(accessKey === null ? "none" : KEY_PLACEHOLDER)})
`;
  return client + (model.family === "feature_extraction" ? embeddingsCode(asked) : completionCode(asked));
}

function embeddingsCode({ model_name: name, data }) {
  const args = keywords({ model: name, input: data });
  return `answer = client.embeddings.create(\n${args})\nprint([one.embedding for one in answer.data])`;
}

function completionCode({ model_name: name, data, parameters = {} }) {
  const [args, others] = [{ model: name, [isChat(data) ? "messages" : "prompt"]: data }, {}];
  for (const [key, value] of Object.entries(parameters)) {
    // To give a temperature is to draw there.
    if (key === "temperature" && !isSampled(parameters)) continue;
    if (key === "logprobs" && isChat(data)) Object.assign(args, { logprobs: true, top_logprobs: value });
    else if (OPENAI_OWN.includes(key) || OPENAI_WORDS[key]) args[OPENAI_WORDS[key] ?? key] = value;
    else others[key] = value;
  }
  if (Object.keys(others).length) args.extra_body = others;
  const [call, text] = isChat(data) ? ["chat.completions", "message.content"] : ["completions", "text"];
  const asked = `answer = client.${call}.create(\n${keywords(args)})\n`;
  if (!parameters.stream) return `${asked}for choice in answer.choices:\n    print(choice.${text})`;
  const piece = isChat(data) ? 'choice.delta.content or ""' : "choice.text";
  return `${asked}for chunk in answer:\n    for choice in chunk.choices:\n        print(${piece}, end="", flush=True)`;
}
