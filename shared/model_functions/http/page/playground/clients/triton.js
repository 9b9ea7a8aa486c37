// Open Inference Protocol: whatever the family, tensors go in and come out.
function tritonFits(asked) {
  const isSimple = (value) => ["string", "number", "boolean"].includes(typeof value);
  return Object.values(asked.parameters ?? {}).every(isSimple) && !asked.parameters?.stream && tritonArrays(asked) !== null;
}

function tritonCode(asked) {
  const parameters = asked.parameters ? `, parameters=${python(asked.parameters)}` : "";
  const key = accessKey === null ? "" : `, headers=${pythonKey()}`;
  const isSecure = location.protocol === "https:" ? ", ssl=True" : "";
  const arrays = Object.entries(tritonArrays(asked)).map(([name, array]) => `    ${JSON.stringify(name)}: ${array},\n`).join("");
  return `import numpy as np
import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype

arrays = {
${arrays}}
inputs = []
for name, array in arrays.items():
    kind = np_to_triton_dtype(array.dtype)
    inputs.append(triton.InferInput(name, array.shape, kind))
    inputs[-1].set_data_from_numpy(array)
client = triton.InferenceServerClient(${literal(base.replace(/^\w+:\/\/|\/$/g, ""))}${isSecure})
answer = client.infer(${literal(asked.model_name)}, inputs${parameters}${key})
for tensor in answer.get_response()["outputs"]:
    print(tensor["name"], answer.as_numpy(tensor["name"]))`;
}

// The input tensors as numpy arrays, in code; null for what they cannot say.
function tritonArrays({ data, ...asked }) {
  if (model.kind === "image") return { image: `np.array([open(${literal(imageFile({ ...asked, data }))}, "rb").read()], dtype=object)` };
  if (model.kind === "row") return rowArrays([data].flat());
  if (model.kind === "tensors") return tensorArrays(itemsOf(data));
  if (typeof data?.text_pair === "string") return { text: numpyArray([data.text], "object"), text_pair: numpyArray([data.text_pair], "object") };
  return isTexts(data) ? { text: numpyArray([data].flat(), "object") } : null;
}

// A number may miss: as a NaN it does.
function rowArrays(rows) {
  const columns = Object.entries(rowSchema(model.data).properties).map(([name, { type }]) => [name, [type].flat()[0]]);
  if (rows.some((row) => columns.some(([name, type]) => row[name] === null && type !== "number"))) return null;
  return Object.fromEntries(columns.map(([name, type]) =>
    [name, numpyArray(rows.map((row) => row[name]), { string: "object", boolean: "bool" }[type] ?? "float64")]));
}

// Where the first dimension counts items, they are put together along it.
function tensorArrays(items) {
  const counted = rowSchema(model.data)?.["x-counted"];
  const specs = tensorSpecs(model.data);
  const named = items.map((item) => (isNamed(item) ? item : { [specs[0].name]: item }));
  const given = specs.filter(({ name }) => named.every((item) => name in item));
  const canSay = counted && given.every(({ name, dtype }) => dtype !== "bfloat16" && (counted.includes(name) || items.length === 1));
  if (!canSay || named.some((item) => Object.keys(item).length !== given.length)) return null;
  return Object.fromEntries(given.map(({ name, dtype }) => {
    const values = named.map((item) => item[name]);
    return [name, numpyArray(counted.includes(name) ? values : values[0], dtype === "string" ? "object" : dtype)];
  }));
}

const isNamed = (item) => item !== null && typeof item === "object" && !Array.isArray(item);
const numpyArray = (values, dtype) => `np.array(${python(values, "    ")}, dtype=${literal(dtype)})`;
