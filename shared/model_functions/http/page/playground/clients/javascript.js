function fetchCode(asked) {
  if (form.data.isFile) {
    const image = 'const image = document.querySelector("input[type=file]").files[0];\n';
    return image + fetched(fileUrl(asked), "image", "image.type") + READ_JSON;
  }
  const body = `JSON.stringify(${literal(asked, {}, "    ")})`;
  return fetched(`${base}predict`, body, `"application/json"`) + (isStream(asked) ? READ_EVENTS : READ_JSON);
}

function fetched(url, body, type) {
  const key = Object.entries(keyHeaders(KEY_PLACEHOLDER)).map(([name, value]) => `, ${literal(name)}: ${literal(value)}`);
  return `const answer = await fetch(${literal(url)}, {
    method: "POST",
    headers: { "Content-Type": ${type}${key.join("")} },
    body: ${body},
});
if (!answer.ok) throw new Error(await answer.text());
`;
}

const READ_JSON = "console.log((await answer.json()).body);";

const READ_EVENTS = `let rest = "";
for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\\n");
    rest = lines.pop();
    for (const line of lines.filter((one) => one.startsWith("data: "))) {
        console.log(JSON.parse(line.slice(6)));
    }
}`;
