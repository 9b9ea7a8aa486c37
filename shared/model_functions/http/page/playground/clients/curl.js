// Longer ones are no argument of a command: Linux takes 128 KiB.
const LONGEST_ARGUMENT = 100_000;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlCode(asked) {
  if (form.data.isFile) return curl(fileUrl(asked), imageType(asked), `--data-binary @${imageFile(asked)}`);
  const json = JSON.stringify(asked);
  const body = json.length < LONGEST_ARGUMENT ? `-d ${quoted(json)}` : `-d @- <<'END'\n${json}\nEND`;
  return curl(`${base}predict`, "application/json", body, isStream(asked) ? " -N" : "");
}

function curl(url, type, body, option = "") {
  const headers = Object.entries({ "Content-Type": type, ...keyHeaders(KEY_PLACEHOLDER) });
  const lines = [...headers.map(([name, value]) => `-H '${name}: ${value}'`), body];
  return [`curl${option} ${quoted(url)}`, ...lines].join(" \\\n  ");
}
