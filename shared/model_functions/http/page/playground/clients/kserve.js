const kserveFits = (asked) => !asked.parameters;

// Its first protocol: an instance is an item of ours, whatever the family.
function kserveCode(asked) {
  const read = form.data.isFile ? `image = base64.b64encode(open(${literal(imageFile(asked))}, "rb").read()).decode()\n` : "";
  const instances = form.data.isFile ? "[image]" : python([asked.data], "    ");
  return `import asyncio
${read && "import base64\n"}
from kserve import InferenceRESTClient, RESTConfig

${read}client = InferenceRESTClient(RESTConfig(protocol="v1"))
answer = asyncio.run(client.infer(
    ${literal(base)},
    {"instances": ${instances}},
    model_name=${literal(asked.model_name)},
))
print(answer["predictions"])`;
}
