"""How each protocol is asked, and how it refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model_functions.errors import error_classes
from tests.bad_inputs.entries import kind_of
from tests.tiny_models import COLUMNS

STATUSES = {error.code: error.status for error in error_classes()}

Body = Callable[[str, str, Any, dict[str, Any]], Any]

_TEXTS = (
    *("token_classification", "text_classification", "translation", "summarization", "text_generation"),
    "feature_extraction",
)


@dataclass(frozen=True)
class Protocol:
    """A way to ask for a prediction.

    Args:
        path: of a prediction; ``{}`` is the model's place.
        body: of family, model, data and parameters.
        message: of a refusal's body.
        invalid: its status for what reads well and says something wrong.
        families: that it can be asked for; None: all.
        has_nan: whether JSON may have it.
    """

    name: str
    path: str
    body: Body
    message: Callable[[Any], Any]
    invalid: int = 400
    families: tuple[str, ...] | None = None
    has_nan: bool = False

    def at(self, model: str) -> str:
        return self.path.format(model)

    def status(self, code: str) -> int:
        return self.invalid if code == "invalid_input" else STATUSES[code]

    def asks(self, family: str) -> bool:
        return self.families is None or family in self.families


def _tensor(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    kind = kind_of(family)
    if kind == "row":
        values = (
            data
            if isinstance(data, dict)
            else dict(zip(COLUMNS, data if isinstance(data, list) else [data], strict=False))
        )
        inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in values.items()]
    elif kind == "tensor":
        name = {"onnx": "features"}.get(family, "input")
        inputs = [{"name": name, "shape": [1, 3], "datatype": "FP32", "data": data}]
    else:
        inputs = [{"name": kind, "shape": [1], "datatype": "BYTES", "data": [data]}]
    return {"inputs": inputs, "parameters": parameters}


_CALLED = {"max_new_tokens": "max_tokens", "num_return_sequences": "n"}


def _completion(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    return {"model": model, "prompt": data} | {_CALLED.get(name, name): value for name, value in parameters.items()}


def _chat(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    called = {_CALLED.get(name, name): value for name, value in parameters.items()}
    return {"model": model, "messages": [{"role": "user", "content": data}]} | called


def _embedding(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    return {"model": model, "input": data} | parameters


def _generate(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    called = {"max_new_tokens": "max_tokens", "seed": "random_seed", "stop": "stop_words"}
    return {"text_input": data, "parameters": {called.get(name, name): value for name, value in parameters.items()}}


def _instances(word: str) -> Body:
    return lambda family, model, data, parameters: {"instances": [data], word: parameters}


def _own(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    return {"model_name": model, "data": data, "parameters": parameters}


def _hugging_face(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    if kind_of(family) == "row":
        values = (
            data
            if isinstance(data, dict)
            else dict(zip(COLUMNS, data if isinstance(data, list) else [data], strict=False))
        )
        data = {"data": {name: [value] for name, value in values.items()}}
    return {"inputs": data, "parameters": parameters}


def _error(found: Any) -> Any:
    return found["error"]


def _error_on_shared_paths(found: Any) -> Any:
    """What no protocol answers below /models is told in the shape of the first of them, which is TorchServe's."""
    return found.get("error") or found["message"]


def _its_message(found: Any) -> Any:
    return found["error"]["message"]


def _message(found: Any) -> Any:
    return found["message"]


_ENDPOINT = "/v1/projects/p/locations/l/endpoints/{}:predict"


def _data(family: str, model: str, data: Any, parameters: dict[str, Any]) -> Any:
    return {"data": data, "parameters": parameters}


PROTOCOLS = [
    Protocol("predict", "/predict", _own, _its_message, 422),
    Protocol("tutorial", "/predict_proxy", _own, _its_message, 422),
    Protocol("tensorflow_serving", "/v1/models/{}:predict", _instances("parameters"), _error, has_nan=True),
    Protocol("open_inference", "/v2/models/{}/infer", _tensor, _error),
    Protocol("vertex", _ENDPOINT, _instances("parameters"), _its_message),
    Protocol("torchserve", "/predictions/{}", _data, _message),
    Protocol("invocations", "/models/{}/invoke", _instances("params"), _message, has_nan=True),
    Protocol(
        "hugging_face", "/models/{}", _hugging_face, _error_on_shared_paths, 422, (*_TEXTS, "image_classification")
    ),
    Protocol("openai", "/v1/completions", _completion, _its_message, families=("text_generation",)),
    Protocol("openai_chat", "/v1/chat/completions", _chat, _its_message, families=("text_generation",)),
    Protocol("openai_embeddings", "/v1/embeddings", _embedding, _its_message, families=("feature_extraction",)),
    Protocol(
        "generate",
        "/v2/models/{}/generate",
        _generate,
        _error,
        families=("text_generation", "translation", "summarization"),
    ),
]
