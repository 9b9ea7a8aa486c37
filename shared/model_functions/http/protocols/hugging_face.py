"""Hugging Face's inference API: what ``InferenceClient(model=URL)`` sends to the URL itself, whatever the task.

Sources: huggingface_hub, src/huggingface_hub/inference/_client.py, _providers/hf_inference.py, _generated/types;
text-generation-inference, docs/openapi.json. Chats come in OpenAI's shape, and go to its module.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ServingError, UnsupportedMediaType
from model_functions.http import errors
from model_functions.http.body import media_type, read_body, read_json
from model_functions.http.message import Request, Response
from model_functions.http.prediction import checked_model_name, checked_parameters
from model_functions.http.protocols.hugging_face_tasks import Asked, task_of
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Published, Question, answer_json, finite_event
from model_functions.http.routes import Table
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: Characters of an error's message that fit into a header.
MAX_HEADER = 1000

_CALLED = {
    "logprobs": "top_n_tokens",
    "model_name": "model",
    "source_language": "src_lang",
    "target_language": "tgt_lang",
}


def routes(service: "Service") -> Table:
    limit = service.settings.max_body_bytes
    ask = service.predicting(lambda request: read_question(request, limit, files=bool(service.media)))
    info, health = service.telling(describe), service.knowing(tell_health)
    return {
        "/": {"POST": ask},
        "/info": {"GET": info},
        "/models/{model}": {"POST": ask},
        "/models/{model}/info": {"GET": info},
        "/models/{model}/health": {"GET": health},
    }


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error": text, "error_type": kind}``, with the kinds of text-generation-inference."""
    overloaded = error.status in (429, 503)
    kind = "validation" if error.status < 500 and not overloaded else "overloaded" if overloaded else "generation"
    message = in_words(error.message, "inputs", _CALLED)
    headers = errors.headers_of(error)
    if message.isascii() and message.isprintable() and len(message) <= MAX_HEADER:
        headers["X-Error-Message"] = message
    return Response.json({"error": message, "error_type": kind}, error.status, headers)


@dataclass(slots=True)
class TaskQuestion(Question):
    """What a task is asked, which the model's family decides.

    Args:
        data: the ``inputs``; bytes where the body is a file.
        fields: what stands beside them in the body.
    """

    fields: dict[str, Any]

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        if isinstance(self.data, bytes) and not wrapper.media:
            raise UnsupportedMediaType(f'The body is a file, and {wrapper.task} models read {{"inputs": …}} as JSON.')
        return task_of(wrapper).read(self._asked())

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        wanted = self.fields.get("stream", False)
        if not isinstance(wanted, bool):
            raise InvalidInput("stream", f'"stream" is {json_type(wanted)}. Send true or false.')
        if wanted and not wrapper.streams:
            raise InvalidInput("stream", f'"stream" is true, and {wrapper.task} models do not stream. Leave it out.')
        return wanted

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, task_of(model.wrapper).answer(prediction, self._asked()))

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        for value in task_of(model.wrapper).pieces(told, self._asked()):
            yield finite_event(model, None, value)

    def _asked(self) -> Asked:
        return Asked(self.data, self.parameters, self.fields)


def read_question(request: Request, limit: int, *, files: bool) -> Question:
    """What a POST's body asks.

    Args:
        files: whether the body may be one; the client often names no type.
    """
    if _is_file(request, limit, files=files):
        return TaskQuestion(None, read_body(request, limit), {}, {})
    body = read_json(request, limit)
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"inputs": …, "parameters": {{…}}}}.')
    fields = {name: value for name, value in body.items() if value is not None}
    parameters = checked_parameters(fields.pop("parameters", {}))
    given = {name: value for name, value in parameters.items() if value is not None}
    # Of Hugging Face's own service: whether it shall wait for a model, and remember answers.
    fields.pop("options", None)
    name = checked_model_name(fields.pop("model", None))
    return TaskQuestion(name, fields.pop("inputs", None), given, fields)


def describe(request: Request, model: LoadedModel) -> Response:
    """What text-generation-inference and text-embeddings-inference tell of themselves, as far as it is so here."""
    wrapper, manifest = model.wrapper, model.manifest
    engine: Any = getattr(wrapper, "engine", None)
    longest = getattr(engine, "positions", None) or getattr(engine, "max_tokens", None)
    longest = longest or getattr(getattr(engine, "tokenizer", None), "max_tokens", None)
    limits = {"max_input_length": longest, "max_input_tokens": longest, "max_total_tokens": longest}
    record = {
        "model_id": manifest.name,
        "model_sha": manifest.revision,
        "model_pipeline_tag": wrapper.task,
        "model_dtype": manifest.here.engine.precision,
        "model_device_type": "cpu",
        "max_client_batch_size": getattr(wrapper.input, "max_items", None),
        "router": "model-functions",
    }
    return answer_json(model, record | (limits if longest else {}))


def tell_health(request: Request, model: Published) -> Response:
    """A model that can be loaded is well: that happens when it is asked."""
    return Response.json({"status": "ok", "model_id": model.name})


def _is_file(request: Request, limit: int, *, files: bool) -> bool:
    kind = media_type(request)
    if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
        return True
    return files and kind == "" and not read_body(request, limit).lstrip().startswith(b"{")
