"""TensorFlow Serving's REST API and KServe's first, described."""

from typing import Any

from model_functions.http.openapi.section import (
    ASKING,
    JSON_BODY,
    KNOWING,
    LOADING,
    STORE,
    Section,
    answer,
    json_body,
    operation_id,
)
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.protocols.tensorflow_serving import SIGNATURE, refuse
from model_functions.schemas import NUMBER, array, record, string

TAG = "TensorFlow Serving and KServe v1"
_ABOUT = (
    "For clients of TensorFlow Serving and of KServe's first protocol. instances takes an item each, inputs a tensor "
    'each; {"b64": …} stands for the text or the bytes that it decodes to, and NaN and Infinity are numbers.'
)
#: How a model may be asked for: its last path segments, and what stands in them.
_WHICH = {"": "", "/versions/{version}": "version", "/labels/{label}": "label"}


def describe(served: Served) -> Section:
    section = Section(served, TAG, _ABOUT, refuse, record({"error": string()}))
    ids = {"id": string(), "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": string()}
    listed = record({"object": {"const": "list"}, "data": array(record(ids)), "models": array(string())})
    section.add("GET", "/v1/models", "The models, as KServe and OpenAI list them.", answer(listed), STORE, id="models")
    for which, word in _WHICH.items():
        for model in served.models:
            _describe_model(section, model, f"/v1/models/{{model}}{which}", word, record(ids))
    return section


def _describe_model(section: Section, model: Model, path: str, word: str, openai: Record) -> None:
    place = {"model": model.name, "version": model.versions, "label": [model.record["alias"]]}

    def add(method: str, suffix: str, verb: str, summary: str, told: Record, *more: Any, **facts: Any) -> None:
        name = operation_id("tensorflow_serving", verb, "by" if word else "", word, model.name)
        answered = answer(told, of_a_model=verb not in ("status",))
        section.add(method, path + suffix, summary, answered, *more, place=place, id=name, **facts)

    add("GET", "", "status", "Whether a model is there.", {"allOf": [openai, _status()]}, KNOWING)
    add("GET", "/metadata", "metadata", "A model's signature.", _metadata(), LOADING)
    errors = [*ASKING, *JSON_BODY]
    body = json_body(_request(model), {"instances": {"instances": model.items[:2]}})
    add("POST", ":predict", "predict", "Predict each instance, or whole tensors.", _told(model), errors, body=body)
    fields = {"signature_name": _signature(), "context": {"type": "object"}}
    examples = record(fields | {"examples": array({"type": "object"}, minItems=1)}, ["examples"])
    labels = array(
        array({"type": "array", "prefixItems": [string(), {"type": "number"}], "minItems": 2, "maxItems": 2})
    )
    body = json_body(examples, {})
    add("POST", ":classify", "classify", "The labels of each example.", record({"results": labels}), errors, body=body)
    numbers = record({"results": array(NUMBER)})
    add("POST", ":regress", "regress", "The number of each example.", numbers, errors, body=body)


def _signature() -> Record:
    return {"enum": [SIGNATURE, "", None]}


def _request(model: Model) -> Record:
    properties = {
        "signature_name": _signature(),
        "instances": array({"anyOf": [model.schema("item"), {"type": "object"}]}, minItems=1),
        "inputs": {"description": "The tensor of each input by name; of an only one, the tensor."},
        "parameters": {"anyOf": [model.schema("parameters"), {"type": "null"}]},
    }
    given = [{"required": ["instances"]}, {"required": ["inputs"]}]
    return {"title": model.name, **record(properties, [], oneOf=given)}


def _told(model: Model) -> Record:
    rows = record({"predictions": array(model.schema("prediction"))})
    columns = record({"outputs": {}, "predictions": {}})
    return {"anyOf": [rows, columns]}


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
