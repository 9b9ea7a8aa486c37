// Server-sent events: hands each piece on, and returns the event at the end, the whole answer or an error.
async function lastEvent(response, take, since) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [buffer, last, first] = ["", null, undefined];
  byId("waiting").textContent = "Writing.";
  byId("result").classList.add("streaming");
  for (;;) {
    const { done, value = "" } = await reader.read();
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const [, name, data] = event.match(/^(?:event: (\w+)\n)?data: (.*)$/);
      first ??= since();
      if (name) last = { name, value: JSON.parse(data), first };
      else take(JSON.parse(data));
    }
    if (done) break;
  }
  if (last) return last;
  return { name: "error", value: { error: { code: "network", message: "The stream broke off. Send it again." } } };
}
