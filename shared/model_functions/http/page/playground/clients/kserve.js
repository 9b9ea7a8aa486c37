const kserveFits = (asked) => !isStream(asked) && itemsOf(asked.data) !== null;

// Its first protocol: an instance is an item of ours, whatever the family.
function kserveCode(asked) {
  const [imports, read, items] = form.data.isFile
    ? ["import asyncio\nimport base64", `image = base64.b64encode(open(${literal(imageFile(asked))}, "rb").read()).decode()\n`, "[image]"]
    : ["import asyncio", "", python(itemsOf(asked.data), "        ")];
  const parameters = asked.parameters ? `        "parameters": ${python(asked.parameters, "        ")},\n` : "";
  return `${imports}

from kserve import InferenceRESTClient, RESTConfig

${read}client = InferenceRESTClient(RESTConfig(protocol="v1"))
asked = client.infer(
    ${literal(base)},
    {
        "instances": ${items},
${parameters}    },
    model_name=${literal(asked.model_name)},
${keyArgument()})
answer = asyncio.run(asked)
print(answer["predictions"])`;
}

// The data as a list of items, where it is one of them; null where the page cannot tell.
function itemsOf(data) {
  if (model.kind === "json" || !inputs[model.kind]) return null;
  if (!Array.isArray(data) || isChat(data)) return [data];
  if (model.kind !== "tensors") return data;
  const specs = tensorSpecs(model.data);
  const isMany = specs.length > 1 || sizesOf(data)?.length > specs[0].shape?.length;
  return isMany || isNamed(data[0]) ? data : [data];
}
