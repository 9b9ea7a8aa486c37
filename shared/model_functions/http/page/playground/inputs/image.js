inputs.image = (schema) => imageInput(imageSchema(schema));

// Pixels of the pad; models of larger images than this see photographs, for which a pad is no way in.
const PAD_SIDE = 280;
const PAD_MODEL_SIDE = 64;

function imageInput({ channels, height, width }) {
  let data = "";
  const preview = make("img", { id: "preview", alt: "The image that is sent" });
  const file = make("input", { id: "data", type: "file", accept: "image/*", "data-path": "data", "aria-describedby": "image-hint" });
  const hint = make("span", { id: "image-hint", class: "soft" }, "Choose, drop or paste a PNG, JPEG, WebP or GIF image.");
  const pad = channels === 1 && Math.max(height, width) <= PAD_MODEL_SIDE ? drawingPad((drawn) => show(drawn)) : null;
  const label = make("label", { for: "data" }, "Image");
  const node = make("div", { class: "image-input" }, label, file, hint, make("div", { class: "image-row" }, ...(pad ? [pad.node] : []), preview));

  function show(url) {
    data = url.slice(url.indexOf(",") + 1);
    preview.hidden = !data;
    if (data) preview.setAttribute("src", `data:image/${imageKind(data)};base64,${data}`);
    node.dispatchEvent(new Event("change", { bubbles: true }));
  }

  takeFiles(node, file, "image/", (chosen) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => { pad?.clear(); show(reader.result); });
    reader.readAsDataURL(chosen);
  });
  show("");
  const write = (text) => { file.value = ""; pad?.clear(); show(text); };
  return { node, read: () => data, write, fits: (example) => typeof example === "string", thumbnail, isFile: true };
}

function imageSchema(schema) {
  return schema["x-image"] ?? (schema.anyOf ?? []).map(imageSchema).find(Boolean);
}

// What a base64 text of an image begins with.
function imageKind(data) {
  const kinds = { iVBOR: "png", "/9j/": "jpeg", UklGR: "webp", R0lGO: "gif" };
  return Object.entries(kinds).find(([begin]) => data.startsWith(begin))?.[1] ?? "png";
}

function thumbnail(data, index) {
  return make("img", { src: `data:image/${imageKind(data)};base64,${data}`, alt: `Example ${index + 1}` });
}

// Dark on light, whatever the colours of the page.
function drawingPad(changed) {
  const canvas = make("canvas", { id: "pad", width: PAD_SIDE, height: PAD_SIDE, role: "img", "aria-label": "Drawing pad. Without a mouse or a finger, choose an image file instead." });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [(clientX - box.left) * PAD_SIDE / box.width, (clientY - box.top) * PAD_SIDE / box.height];
  };
  const clear = () => { context.fillStyle = "white"; context.fillRect(0, 0, PAD_SIDE, PAD_SIDE); };
  const draw = (event) => {
    const next = place(event);
    Object.assign(context, { lineWidth: PAD_SIDE / 14, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    draw(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (last) draw(event); });
  const end = () => { if (last) { last = null; changed(centred(canvas, context)); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  const clearButton = actionButton("Clear", () => { clear(); changed(""); }, { id: "clear-pad" });
  clear();
  return { node: make("div", { class: "pad" }, canvas, clearButton), clear };
}

// The drawing as a PNG, cut out around its ink with some paper around it: a small digit in a corner is read as well.
function centred(canvas, context) {
  const { data } = context.getImageData(0, 0, PAD_SIDE, PAD_SIDE);
  const [columns, rows] = [[], []];
  for (let index = 0; index < data.length; index += 4) {
    if (data[index] > 127) continue;
    columns.push((index / 4) % PAD_SIDE);
    rows.push(Math.floor(index / 4 / PAD_SIDE));
  }
  if (!columns.length) return "";
  const span = (places) => places.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [PAD_SIDE, 0]);
  const [[left, right], [top, bottom]] = [span(columns), span(rows)];
  const side = Math.max(right - left, bottom - top) * 1.3;
  const cut = make("canvas", { width: PAD_SIDE, height: PAD_SIDE }).getContext("2d");
  cut.fillStyle = "white";
  cut.fillRect(0, 0, PAD_SIDE, PAD_SIDE);
  const scale = PAD_SIDE / side;
  cut.translate(PAD_SIDE / 2 - (left + right) / 2 * scale, PAD_SIDE / 2 - (top + bottom) / 2 * scale);
  cut.scale(scale, scale);
  cut.drawImage(canvas, 0, 0);
  return cut.canvas.toDataURL("image/png");
}
