"""``/v1/models``: TensorFlow Serving's REST API and KServe's first, which share its paths, and OpenAI's model list.

Sources: tensorflow/serving, g3doc/api_rest.md; kserve, python/kserve/kserve/protocol/rest/v1_endpoints.py.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ServingError
from model_functions.http.body import read_json
from model_functions.http.errors import refused, status_of
from model_functions.http.message import JSON, Request, Response
from model_functions.http.prediction import parameters_field
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Published, Question, headers_of, version_number
from model_functions.http.routes import Table
from model_functions.http.service import waiting
from model_functions.inputs import check_first_item, json_type
from model_functions.loaded import LoadedModel
from model_functions.tensors import TensorSpec
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from model_functions.http.service import Service

SIGNATURE = "serving_default"

_DTYPES = {
    "float16": "DT_HALF",
    "bfloat16": "DT_BFLOAT16",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "bool": "DT_BOOL",
    "string": "DT_STRING",
    **{f"{kind}{bits}": f"DT_{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}


def routes(service: "Service") -> Table:
    def reading(read: Callable[[dict[str, Any]], Question]) -> Any:
        return service.predicting(lambda request: read(_body(request, service.settings.max_body_bytes)))

    predict, classify, regress = reading(read_predict), reading(read_classify), reading(read_regress)
    status, told = service.knowing(model_status), service.telling(metadata)
    table: dict[str, Any] = {"/v1/models": {"GET": waiting(lambda request: model_list(service.seen_names(request)))}}
    for which in ("", "/versions/{version}", "/labels/{label}"):
        path = f"/v1/models/{{model}}{which}"
        table |= {
            path: {"GET": status},
            f"{path}/metadata": {"GET": told},
            f"{path}:predict": {"POST": predict},
            f"{path}:classify": {"POST": classify},
            f"{path}:regress": {"POST": regress},
        }
    return table


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error": text}``."""
    status = status_of(error)
    data = "examples" if request.route.endswith((":classify", ":regress")) else "instances"
    return refused(error, {"error": in_words(error.message, data, {})}, status)


def model_list(names: list[str]) -> Response:
    """As OpenAI's clients want it, and as KServe's do."""
    data = [_openai_record(name) for name in names]
    return Response.json({"object": "list", "data": data, "models": names})


def model_status(request: Request, model: Published) -> Response:
    """As all three want it. A model that can be loaded is ready: that happens when it is asked."""
    version = {
        "version": str(version_number(model.revision)),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    record = {"name": model.name, "ready": True, "model_version_status": [version]}
    return Response.json(_openai_record(model.name) | record, headers={"X-Model-Revision": model.revision})


def metadata(request: Request, model: LoadedModel) -> Response:
    """The model's one signature, as TensorFlow Serving has it."""
    wrapper, manifest = model.wrapper, model.manifest
    signature = {
        "inputs": {spec.name: _tensor_info(spec) for spec in wrapper.tensor_inputs()},
        "outputs": {spec.name: _tensor_info(spec) for spec in wrapper.tensor_outputs()},
        "method_name": "tensorflow/serving/predict",
    }
    version = str(version_number(manifest.revision))
    record = {
        "model_spec": {"name": manifest.name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }
    return Response.json(record, headers=headers_of(model))


@dataclass(slots=True)
class RowQuestion(Question):
    """``instances``: an item each."""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        items = [_item(item, wrapper, f"instances[{index}]") for index, item in enumerate(self.data)]
        check_first_item(items, wrapper.input.kind, "instances[0]")
        return items, self.parameters

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return _told(model, {"predictions": prediction})


@dataclass(slots=True)
class ColumnQuestion(Question):
    """``inputs``: a tensor for each input, or the only one alone."""

    as_tensors = True

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        specs = {spec.name: spec for spec in wrapper.tensor_inputs()}
        named = isinstance(self.data, dict) and "b64" not in self.data
        if not named and len(specs) > 1:
            raise InvalidInput(
                "inputs", f'"inputs" is {json_type(self.data)}. Send an object with {", ".join(list(specs)[:8])}.'
            )
        tensors = self.data if named else dict.fromkeys(specs, self.data)
        arrays = {name: _array(value, specs.get(name), f"inputs.{name}") for name, value in tensors.items()}
        return wrapper.data_of(arrays), self.parameters

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        outputs = {name: _plain(array, name) for name, array in prediction.items()}
        bare = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        # The second name is KServe's.
        return _told(model, {"outputs": bare, "predictions": bare})


@dataclass(slots=True)
class ExampleQuestion(RowQuestion):
    """``examples``, of which each has a result.

    Args:
        result: makes it of the prediction; None where the model gives no such.
    """

    result: Callable[[Any], Any]
    verb: str

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        results = [self.result(one) for one in prediction]
        if None in results:
            raise InvalidInput("examples", f"{model.manifest.name} does not {self.verb}. POST to :predict instead.")
        return _told(model, {"results": results})


def read_predict(body: dict[str, Any]) -> Question:
    given = [key for key in ("instances", "inputs") if key in body]
    if len(given) != 1:
        what = "both instances and inputs" if given else "neither instances nor inputs"
        raise InvalidInput("instances", f'The request has {what}. Send "instances", a list of items, or "inputs".')
    if given == ["inputs"]:
        return ColumnQuestion(None, body["inputs"], parameters_field(body))
    return RowQuestion(None, _listed(body, "instances"), parameters_field(body))


def read_classify(body: dict[str, Any]) -> Question:
    return ExampleQuestion(None, _examples(body), parameters_field(body), _labels, "classify")


def read_regress(body: dict[str, Any]) -> Question:
    return ExampleQuestion(None, _examples(body), parameters_field(body), _number, "regress")


def _body(request: Request, limit: int) -> dict[str, Any]:
    body = read_json(request, limit, constants=True)
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"instances": [ITEM, …]}}.')
    signature = body.get("signature_name")
    if signature not in (None, "", SIGNATURE):
        raise InvalidInput("signature_name", f'There is no signature {json.dumps(signature)[:60]}, only "{SIGNATURE}".')
    return body


def _listed(body: dict[str, Any], key: str) -> list[Any]:
    items = body.get(key)
    if not isinstance(items, list) or not items:
        what = "an empty list" if items == [] else json_type(items)
        raise InvalidInput(key, f'"{key}" is {what}. Send a list of items.')
    return items


def _examples(body: dict[str, Any]) -> list[Any]:
    examples, context = _listed(body, "examples"), body.get("context", {})
    if not all(isinstance(one, dict) for one in (context, *examples)):
        raise InvalidInput("examples", '"examples" and "context" hold something else than objects of features by name.')
    return [context | example for example in examples]


def _item(item: Any, wrapper: ModelWrapper, path: str) -> Any:
    """An instance as ``predict`` takes it: one that only names the only input is what it names."""
    inputs = wrapper.tensor_inputs()
    if isinstance(item, dict) and len(inputs) == 1 and list(item) == [inputs[0].name]:
        item = item[inputs[0].name]
    return _decoded(item, path, as_text=wrapper.input.kind != "image")


def _decoded(value: Any, path: str, *, as_text: bool) -> Any:
    """The value with what ``{"b64": …}`` stands for in it."""
    if isinstance(value, list):
        # Most are numbers, of which there may be millions.
        return [
            _decoded(one, f"{path}[{index}]", as_text=as_text) if isinstance(one, list | dict) else one
            for index, one in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    if list(value) != ["b64"]:
        return {name: _decoded(one, f"{path}.{name}", as_text=as_text) for name, one in value.items()}
    try:
        found = base64.b64decode(value["b64"], validate=True)
        return found.decode() if as_text else found
    except (TypeError, binascii.Error, ValueError) as exc:
        what = "text in UTF-8" if as_text else "bytes"
        raise InvalidInput(path, f"{path} is no {what} in base64: {json.dumps(value['b64'])[:40]}.") from exc


def _array(value: Any, spec: TensorSpec | None, path: str) -> Any:
    # Imported here: a function that waits for its first request has no use for numpy.
    from model_functions.http.protocols.nested import nested_array

    if spec is None:
        # Which names there are is told by who reads them.
        return value
    return nested_array(_decoded(value, path, as_text=False), spec, path)


def _plain(array: Any, name: str) -> Any:
    """Nested lists; of bytes what JSON can hold of them."""
    return _texts(array.tolist(), in_base64=name.endswith("_bytes"))


def _texts(value: Any, *, in_base64: bool) -> Any:
    if isinstance(value, list):
        return [_texts(one, in_base64=in_base64) for one in value]
    if not isinstance(value, bytes):
        return value
    return {"b64": base64.b64encode(value).decode()} if in_base64 else value.decode(errors="replace")


def _labels(prediction: Any) -> Any:
    """``[[label, score], …]``, if the prediction has labels."""
    if isinstance(prediction, Mapping):
        if "labels" in prediction and "scores" in prediction:
            return [list(pair) for pair in zip(prediction["labels"], prediction["scores"], strict=True)]
        probabilities = prediction.get("probabilities")
        return [list(pair) for pair in probabilities.items()] if isinstance(probabilities, Mapping) else None
    if isinstance(prediction, list) and prediction and all(_is_label(one) for one in prediction):
        return [[one["label"], one["score"]] for one in prediction]
    return None


def _is_label(one: Any) -> bool:
    return isinstance(one, Mapping) and set(one) == {"label", "score"}


def _number(prediction: Any) -> Any:
    """The number that was predicted, if it is one."""
    value = prediction.get("prediction") if isinstance(prediction, Mapping) else prediction
    while isinstance(value, list) and len(value) == 1:
        [value] = value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _told(model: LoadedModel, value: Any) -> Response:
    """JSON in which NaN and the infinities may stand, as TensorFlow Serving allows."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(200, body + b"\n", {"Content-Type": JSON} | headers_of(model))


def _openai_record(name: str) -> dict[str, Any]:
    # Nobody knows when a model was made: what is published twice is the same.
    return {"id": name, "object": "model", "created": 0, "owned_by": "model-functions"}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    sizes = [size if isinstance(size, int) else -1 for size in spec.shape or ()]
    shape = {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": spec.shape is None}
    return {"name": f"{spec.name}:0", "dtype": _DTYPES[spec.dtype], "tensor_shape": shape}
