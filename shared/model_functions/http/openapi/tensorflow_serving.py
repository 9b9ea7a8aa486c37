"""TensorFlow Serving's REST API and KServe's first, described."""

from model_functions.http.openapi.section import KNOWING, LOADING, OF_A_MODEL, STORE, Section, json_body
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.openapi.tensors import columns_of
from model_functions.http.protocols.tensorflow_serving import SIGNATURE, refuse
from model_functions.schemas import NUMBER, array, nullable, record, string

_ABOUT = (
    "For clients of TensorFlow Serving and of KServe's first protocol. instances takes an item each, inputs a tensor "
    'each; {"b64": …} stands for the text or the bytes that it decodes to, and NaN and Infinity are numbers.'
)
#: How a model may be asked for: the last part of its path, and what that is called.
_WHICH = {"": "", "/versions/{version}": "_version", "/labels/{label}": "_label"}
_OPENAI = record({"id": string(), "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": string()})
_SIGNATURE: Record = {"enum": [SIGNATURE, "", None]}


def describe(served: Served) -> Section:
    section = Section(served, "TensorFlow Serving and KServe v1", _ABOUT, refuse, record({"error": string()}))
    listed = record({"object": {"const": "list"}, "data": array(_OPENAI), "models": array(string())})
    section.tell("/v1/models", "The models, as KServe and OpenAI list them.", listed, STORE, id="list_models")
    for which, word in _WHICH.items():
        path = f"/v1/models/{{model}}{which}"
        status: Record = {"allOf": [_OPENAI, _status()]}
        who = ["X-Model-Revision"]
        section.tell(path, "Whether a model is there.", status, KNOWING, who=who, id=f"model_status{word}")
        metadata = f"{path}/metadata"
        section.tell(
            metadata, "A model's signature.", _metadata(), LOADING, who=OF_A_MODEL, id=f"model_signature{word}"
        )
        for model in served.models:
            _describe_asking(section, model, path, word)
    return section


def _describe_asking(section: Section, model: Model, path: str, word: str) -> None:
    item, columns = model.items[0], columns_of(model, model.items[0])
    examples = {"instances": {"instances": [item]}} | ({"inputs": {"inputs": columns}} if columns else {})
    section.ask(
        *(f"{path}:predict", "Predict each instance, or whole tensors.", _told(model), model),
        json_body(_request(model), examples),
        id=f"tensorflow_predict{word}",
    )
    features = _features(model, item)
    fields = {"signature_name": _SIGNATURE, "context": {"type": "object"}}
    schema = record(fields | {"examples": array({"type": "object"}, minItems=1)}, ["examples"])
    body = json_body(schema, {"features": {"examples": [features]}} if features else {})
    if _gives_labels(model):
        pair = array({}, minItems=2, maxItems=2, description="A label and its score.")
        section.ask(
            *(f"{path}:classify", "The labels of each example.", record({"results": array(array(pair))}), model, body),
            id=f"tensorflow_classify{word}",
        )
    if _gives_numbers(model):
        section.ask(
            *(f"{path}:regress", "The number of each example.", record({"results": array(NUMBER)}), model, body),
            id=f"tensorflow_regress{word}",
        )


def _request(model: Model) -> Record:
    properties = {
        "signature_name": _SIGNATURE,
        "instances": array(
            {"anyOf": [model.schema("item"), {"type": "object"}, string(), {"type": "array"}]}, minItems=1
        ),
        "inputs": {"description": "The tensor of each input by name; of an only one, the tensor."},
        "parameters": nullable(model.schema("parameters")),
    }
    given = [{"required": ["instances"]}, {"required": ["inputs"]}]
    return {"title": model.name, **record(properties, [], oneOf=given)}


def _told(model: Model) -> Record:
    rows = record({"predictions": array(model.schema("prediction"))})
    return {"anyOf": [rows, record({"outputs": {}, "predictions": {}})]}


def _features(model: Model, item: object) -> Record | None:
    """The item as an example: the inputs by name."""
    if isinstance(item, dict):
        return item
    names = [spec["name"] for spec in model.inputs]
    if model.kind == "row" and isinstance(item, list):
        return dict(zip(names, item, strict=False))
    return {names[0]: item} if len(names) == 1 and isinstance(item, str) else None


def _gives_labels(model: Model) -> bool:
    told = str(model.record.get("prediction"))
    return "'label'" in told or "'probabilities'" in told


def _gives_numbers(model: Model) -> bool:
    """Whether it predicts a number, as far as is known."""
    prediction = model.record.get("prediction", {})
    told = prediction.get("properties", {}).get("prediction") if model.kind == "row" else prediction
    return told == {} or (isinstance(told, dict) and told.get("type") == "number")


def _status() -> Record:
    status = record({"error_code": {"const": "OK"}, "error_message": string()})
    version = record({"version": string(pattern="^[0-9]+$"), "state": {"const": "AVAILABLE"}, "status": status})
    return record({"name": string(), "ready": {"const": True}, "model_version_status": array(version)})


def _metadata() -> Record:
    size = record({"size": string(), "name": string()})
    shape = record({"dim": array(size), "unknown_rank": {"type": "boolean"}})
    tensor = record({"name": string(), "dtype": string(pattern="^DT_"), "tensor_shape": shape})
    tensors = {"type": "object", "additionalProperties": tensor}
    signature = record({"inputs": tensors, "outputs": tensors, "method_name": string()})
    signatures = record({"signature_def": record({SIGNATURE: signature})})
    spec = record({"name": string(), "signature_name": string(), "version": string()})
    return record({"model_spec": spec, "metadata": record({"signature_def": signatures})})
