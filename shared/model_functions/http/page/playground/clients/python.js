function requestsCode(asked) {
  const url = literal(`${base}predict`);
  if (form.data.isFile) return requestsFile(asked);
  if (isStream(asked)) return requestsStream(url, asked);
  return `import requests

answer = requests.post(
    ${url},
    json=${python(asked, "    ")},
${keyArgument()})
answer.raise_for_status()
print(answer.json()["body"])`;
}

function requestsFile(asked) {
  return `import requests

with open(${literal(imageFile(asked))}, "rb") as image:
    answer = requests.post(
        ${literal(fileUrl(asked))},
        data=image,
        headers=${python({ "Content-Type": imageType(asked), ...keyHeaders(KEY_PLACEHOLDER) }, "        ")},
    )
answer.raise_for_status()
print(answer.json()["body"])`;
}

function requestsStream(url, asked) {
  return `import json

import requests

asked = ${python(asked)}
with requests.post(${url}, json=asked, stream=True${accessKey === null ? "" : `, headers=${pythonKey()}`}) as answer:
    answer.raise_for_status()
    for line in answer.iter_lines():
        if line.startswith(b"data: "):
            piece = json.loads(line[6:])
            print(piece.get("text", piece), end="", flush=True)`;
}

const pythonKey = () => python(keyHeaders(KEY_PLACEHOLDER));
// The headers of a call in Python, where a key is asked for.
const keyArgument = () => (accessKey === null ? "" : `    headers=${pythonKey()},\n`);
