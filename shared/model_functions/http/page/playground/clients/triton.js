// Open Inference Protocol: whatever the family, tensors go in and come out.
function tritonFits(asked) {
  const isSimple = (value) => ["string", "number", "boolean"].includes(typeof value);
  return Object.values(asked.parameters ?? {}).every(isSimple) && !asked.parameters?.stream && tritonArrays(asked) !== null;
}

function tritonCode(asked) {
  const parameters = asked.parameters ? `, parameters=${python(asked.parameters)}` : "";
  const isSecure = location.protocol === "https:" ? ", ssl=True" : "";
  const arrays = Object.entries(tritonArrays(asked)).map(([name, array]) => `    ${JSON.stringify(name)}: ${array},\n`).join("");
  return `import numpy as np
import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype

arrays = {
${arrays}}
inputs = [triton.InferInput(name, one.shape, np_to_triton_dtype(one.dtype)) for name, one in arrays.items()]
for tensor, array in zip(inputs, arrays.values()):
    tensor.set_data_from_numpy(array)
client = triton.InferenceServerClient(${literal(base.replace(/^\w+:\/\/|\/$/g, ""))}${isSecure})
answer = client.infer(${literal(asked.model_name)}, inputs${parameters})
for tensor in answer.get_response()["outputs"]:
    print(tensor["name"], answer.as_numpy(tensor["name"]))`;
}

// The input tensors as numpy arrays, in code; null for what they cannot say.
function tritonArrays(asked) {
  const { data } = asked;
  if (model.kind === "image") return { image: `np.array([open(${literal(imageFile(asked))}, "rb").read()], dtype=object)` };
  if (model.kind === "row") return rowArrays([data].flat());
  if (model.kind === "tensors") return null;
  return isTexts(data) ? { text: numpyArray([data].flat(), "object") } : null;
}

function rowArrays(rows) {
  const columns = Object.entries(rowSchema(model.data).properties);
  return Object.fromEntries(columns.map(([name, schema]) => {
    const values = rows.map((row) => row[name]);
    const [type] = [schema.type].flat();
    return [name, numpyArray(values, { string: "object", boolean: "bool", integer: "int64" }[type] ?? "float64")];
  }));
}

const numpyArray = (values, dtype) => `np.array(${python(values, "    ")}, dtype=${literal(dtype)})`;
