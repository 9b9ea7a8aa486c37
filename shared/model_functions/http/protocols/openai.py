"""OpenAI's API: chats, completions and embeddings, at ``/v1`` and for each model at ``/models/NAME/v1``.

Sources: openai-python, src/openai/types, _streaming.py, _base_client.py. Fields of the API that could change nothing
here are let pass; those that ask for what no model here does are refused. What else stands beside them, as
``extra_body`` puts it there, is a parameter of the model.
"""

import base64
import json
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from model_functions.cache import LoadedModel
from model_functions.errors import InvalidInput, ServingError
from model_functions.http.body import read_json
from model_functions.http.message import Request, Response
from model_functions.http.prediction import checked_model_name
from model_functions.http.protocols.answer_length import answer_length
from model_functions.http.protocols.openai_logprobs import Logprobs, of_chat, of_completion
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Question, answer_json, finite_event
from model_functions.http.routes import Table
from model_functions.inputs import json_type
from model_functions.wrapper import ModelWrapper, Prepared

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: What clients call a model that they know by its address alone.
NAMELESS = ("", "dummy", "tgi")

#: Below this the likeliest token is drawn in any case.
COLD = 0.001

_SEEDS = 2**63

#: Fields that say nothing to a model here.
WITHOUT_EFFECT = frozenset(
    {"metadata", "moderation", "parallel_tool_calls", "prediction", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "reasoning_effort", "safety_identifier", "service_tier", "store", "stream_options"}
    | {"tool_prompt", "user", "verbosity"}
)

#: Fields that only these values may have, and why.
SINGLE_VALUED: dict[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "models here answer in text"),
    "function_call": (("auto", "none"), "models here call no functions"),
    "functions": (([],), "models here call no functions"),
    "logit_bias": (({},), "the probabilities of single tokens cannot be changed here"),
    "modalities": ((["text"],), "models here answer in text"),
    "response_format": (({"type": "text"},), "models here answer in plain text, and nothing holds them to a schema"),
    "suffix": (("",), "models here write what follows, and not what stands between"),
    "tool_choice": (("auto", "none"), "models here call no tools"),
    "tools": (([],), "models here call no tools"),
    "web_search_options": ((), "models here search nothing"),
}

#: Parameters of a model that have names of their own in this API.
RENAMED = {
    "max_new_tokens": "max_tokens",
    "model_name": "model",
    "num_return_sequences": "n",
    "return_full_text": "echo",
}

#: What ``data`` is called, by how a path ends.
_DATA = {"chat/completions": "messages", "completions": "prompt", "embeddings": "input"}


def routes(service: "Service") -> Table:
    limit = service.settings.max_body_bytes

    def asking(read: Callable[[dict[str, Any], str], Question], speaks: str) -> Any:
        return {"POST": service.predicting(lambda request: read(_fields(request, limit), request.id), speaks)}

    handlers = {
        "chat/completions": asking(read_chat, "openai_chat"),
        "completions": asking(read_completion, "openai_completions"),
        "embeddings": asking(read_embedding, "openai_embeddings"),
    }
    return {f"{base}/v1/{path}": own for base in ("", "/models/{model}") for path, own in handlers.items()}


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error": {"message", "type", "param", "code"}}``, in this API's words."""
    status = 400 if isinstance(error, InvalidInput) else error.status
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    data = next((name for path, name in _DATA.items() if request.route.endswith(f"/v1/{path}")), "data")
    param = in_words(error.path, data, RENAMED) if isinstance(error, InvalidInput) else ""
    message = in_words(error.message, data, RENAMED)
    told = {"message": message, "type": kind, "param": param or None, "code": error.code}
    headers = {"X-Error-Code": error.code} | error.headers
    if "Retry-After" in headers:
        headers["Retry-After-Ms"] = str(int(headers["Retry-After"]) * 1000)
    elif status >= 500:
        # Its clients would ask again, and get the same.
        headers["X-Should-Retry"] = "false"
    return Response.json({"error": told}, status, headers)


def _fields(request: Request, limit: int) -> dict[str, Any]:
    """The body's fields that have a value."""
    body = read_json(request, limit)
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"model": NAME, …}}.')
    return {name: value for name, value in body.items() if value is not None}


@dataclass(slots=True)
class GenerationQuestion(Question):
    """What follows a text or a chat.

    Args:
        data: as the model takes it.
        parameters: the request's fields that are parameters of the model.
        fields: the others, by their names in the API.
        id: of the answer.
    """

    fields: dict[str, Any]
    id: str
    created: int = field(default_factory=lambda: int(time.time()))

    object: ClassVar[str]
    piece: ClassVar[str]
    """What ``object`` is in a stream."""

    @property
    def count(self) -> int:
        return int(self.fields.get("n", 1))

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        asked, logprobs = self.fields, self.logprobs()
        found: dict[str, Any] = {"num_return_sequences": _whole("n", asked.get("n", 1))}
        found |= answer_length(_longest(asked), wrapper, self.data) | _penalties(asked, wrapper)
        if "stop" in asked:
            stop = asked["stop"]
            found["stop"] = [stop] if isinstance(stop, str) else None if stop == [] else stop
        if "seed" in asked:
            # Theirs may be negative.
            found["seed"] = _whole("seed", asked["seed"]) % _SEEDS
        if "temperature" in asked:
            found |= _heat(asked["temperature"])
        found |= self.parameters
        if self.count > 1 and not found.get("do_sample", wrapper.parameters["do_sample"].default):
            raise InvalidInput(
                "n", f'"n" is {self.count}, and all answers would be the same. Give a "temperature" above 0, or no "n".'
            )
        if logprobs is not None:
            found["logprobs"] = logprobs
        if asked.get("stream") or logprobs is not None:
            # Beams are neither told in pieces nor by their tokens, and a client cannot know that a model has them.
            found.setdefault("num_beams", 1)
        return self.data, found

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        return _flag("stream", self.fields.get("stream", False))

    def logprobs(self) -> int | None:
        """How many alternatives are told of each token; None: not even the tokens."""
        raise NotImplementedError

    def choice(self, index: int, prediction: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def choice_piece(
        self, index: int, piece: Mapping[str, Any], logprobs: Logprobs, *, is_first: bool
    ) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        choices = [self.choice(index, one) for index, one in enumerate(self._flat(prediction))]
        told = self._head(model, self.object) | {"choices": choices, "usage": self._usage(prediction)}
        return answer_json(model, told)

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        options = self.fields.get("stream_options", {})
        counted = isinstance(options, dict) and options.get("include_usage") is True
        head = self._head(model, self.piece)
        without = {"usage": None} if counted else {}
        begun: dict[int, Logprobs] = {}
        for kind, value in told:
            if kind is None:
                index = value.get("index", 0) * self.count + value.get("sequence", 0)
                is_first = index not in begun
                choice = self.choice_piece(index, value, begun.setdefault(index, Logprobs()), is_first=is_first)
                yield finite_event(model, None, head | {"choices": [choice]} | without)
            elif counted:
                yield finite_event(model, None, head | {"choices": [], "usage": self._usage(value)})
        yield b"data: [DONE]\n\n"

    def _head(self, model: LoadedModel, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": model.manifest.name,
            "system_fingerprint": f"fp_{model.manifest.revision}",
        }

    def _items(self, prediction: Any) -> list[list[dict[str, Any]]]:
        """The answers to each prompt."""
        items = [prediction] if _is_single(self.data) else prediction
        return items if self.count > 1 else [[one] for one in items]

    def _flat(self, prediction: Any) -> list[dict[str, Any]]:
        return [one for item in self._items(prediction) for one in item]

    def _usage(self, prediction: Any) -> dict[str, int]:
        read = sum(item[0]["prompt_tokens"] for item in self._items(prediction))
        written = sum(one["generated_tokens"] for one in self._flat(prediction))
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@dataclass(slots=True)
class ChatQuestion(GenerationQuestion):
    object = "chat.completion"
    piece = "chat.completion.chunk"

    def logprobs(self) -> int | None:
        wanted = _flag("logprobs", self.fields.get("logprobs", False))
        if not wanted and "top_logprobs" in self.fields:
            raise InvalidInput("top_logprobs", '"top_logprobs" needs "logprobs" to be true. Set it, or leave both out.')
        return _alternatives("top_logprobs", self.fields.get("top_logprobs", 0)) if wanted else None

    def choice(self, index: int, prediction: Mapping[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": prediction["generated_text"], "refusal": None}
        return {
            "index": index,
            "message": message,
            "logprobs": of_chat(Logprobs().take(prediction["generated_text"], prediction)),
            "finish_reason": prediction["finish_reason"],
        }

    def choice_piece(
        self, index: int, piece: Mapping[str, Any], logprobs: Logprobs, *, is_first: bool
    ) -> dict[str, Any]:
        role = {"role": "assistant"} if is_first else {}
        content = {"content": piece["text"]} if piece["text"] or is_first else {}
        return {
            "index": index,
            "delta": role | content,
            "logprobs": of_chat(logprobs.take(piece["text"], piece)),
            "finish_reason": piece.get("finish_reason"),
        }


@dataclass(slots=True)
class CompletionQuestion(GenerationQuestion):
    object = piece = "text_completion"

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        data, found = super(CompletionQuestion, self).read(wrapper)
        return data, found | {"return_full_text": _flag("echo", self.fields.get("echo", False))}

    def logprobs(self) -> int | None:
        if "logprobs" not in self.fields:
            return None
        if self.fields.get("echo"):
            raise InvalidInput(
                "logprobs",
                'The probabilities of the prompt\'s own tokens are not told. Leave "echo" or "logprobs" out.',
            )
        return _alternatives("logprobs", self.fields["logprobs"])

    def choice(self, index: int, prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "index": index,
            "text": prediction["generated_text"],
            "logprobs": of_completion(Logprobs().take(prediction["generated_text"], prediction)),
            "finish_reason": prediction["finish_reason"],
        }

    def choice_piece(
        self, index: int, piece: Mapping[str, Any], logprobs: Logprobs, *, is_first: bool
    ) -> dict[str, Any]:
        return {
            "index": index,
            "text": piece["text"],
            "logprobs": of_completion(logprobs.take(piece["text"], piece)),
            "finish_reason": piece.get("finish_reason"),
        }


@dataclass(slots=True)
class EmbeddingQuestion(Question):
    """The vectors of texts.

    Args:
        in_base64: as the client library asks for them, which is shorter and exact.
        dimensions: that the vectors shall have; None: their own.
    """

    in_base64: bool
    dimensions: int | None
    tokens: int = 0

    def prepared(self, prepared: Prepared) -> None:
        self.tokens = sum(row.size for row in prepared.features.rows)

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        vectors = prediction if isinstance(self.data, list) else [prediction]
        size = len(vectors[0])
        if self.dimensions not in (None, size):
            raise InvalidInput(
                "dimensions",
                f'"dimensions" is {self.dimensions}, and the vectors of {model.manifest.name} have {size}. '
                "Leave it out.",
            )
        data = [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if self.in_base64 else vector}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": self.tokens, "total_tokens": self.tokens}
        return answer_json(model, {"object": "list", "data": data, "model": model.manifest.name, "usage": usage})


def read_chat(fields: dict[str, Any], request_id: str) -> Question:
    messages = fields.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        what = "an empty list" if messages == [] else json_type(messages)
        raise InvalidInput("messages", f'"messages" is {what}. Send a list of messages.')
    read = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    # What an application has no instructions for says nothing.
    chat = [message for message in read if message["content"] or message["role"] != "system"]
    own = {"logprobs", "max_completion_tokens", "top_logprobs"}
    return ChatQuestion(*_asked(fields, chat or read, own), id=f"chatcmpl-{request_id}")


def read_completion(fields: dict[str, Any], request_id: str) -> Question:
    if "prompt" not in fields:
        raise InvalidInput("prompt", 'The request has no "prompt". Send a text, or a list of texts.')
    prompt, count = fields.pop("prompt"), fields.get("n", 1)
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        raise InvalidInput("prompt", '"prompt" is a list of messages. POST them to /v1/chat/completions.')
    if fields.pop("best_of", count) not in (1, count):
        raise InvalidInput("best_of", 'As many answers are written as are told. Leave "best_of" out.')
    return CompletionQuestion(*_asked(fields, prompt, {"echo", "logprobs"}), id=f"cmpl-{request_id}")


def read_embedding(fields: dict[str, Any], request_id: str) -> Question:
    if "input" not in fields:
        raise InvalidInput("input", 'The request has no "input". Send a text, or a list of texts.')
    texts, form, size = fields.pop("input"), fields.pop("encoding_format", "float"), fields.pop("dimensions", None)
    for index, text in enumerate(texts if isinstance(texts, list) else [texts]):
        if isinstance(text, int | list) and not isinstance(text, bool):
            raise InvalidInput(
                "input",
                '"input" has tokens, and each model has tokens of its own. Send texts '
                "(LangChain: check_embedding_ctx_length=False).",
            )
        if not isinstance(text, str):
            raise InvalidInput(
                "input", f'"input"{f"[{index}]" if isinstance(texts, list) else ""} is {json_type(text)}. Send texts.'
            )
    if form not in ("float", "base64"):
        raise InvalidInput("encoding_format", f'"encoding_format" is {_shown(form)}. Send "float" or "base64".')
    name = _model_name(fields)
    parameters = {key: value for key, value in fields.items() if key not in WITHOUT_EFFECT}
    return EmbeddingQuestion(
        name, texts, parameters, form == "base64", None if size is None else _whole("dimensions", size)
    )


def _asked(fields: dict[str, Any], data: Any, own: set[str]) -> tuple[str | None, Any, dict[str, Any], dict[str, Any]]:
    """The question's model, data, parameters and fields.

    Args:
        own: fields that this kind of question has beside those of all.
    """
    name = _model_name(fields)
    for field_name, (possible, reason) in SINGLE_VALUED.items():
        if field_name in fields and fields.pop(field_name) not in possible:
            raise InvalidInput(field_name, f'"{field_name}" is not supported: {reason}. Leave it out.')
    for parameter, called in RENAMED.items():
        if parameter in fields:
            raise InvalidInput(parameter, f'{parameter} is called "{called}" here. Send that.')
    own |= {"frequency_penalty", "max_tokens", "n", "presence_penalty", "seed", "stop", "stream", "stream_options"}
    own |= {"temperature"}
    known = {key: value for key, value in fields.items() if key in own}
    parameters = {key: value for key, value in fields.items() if key not in own | WITHOUT_EFFECT}
    return name, data, parameters, known


def _model_name(fields: dict[str, Any]) -> str | None:
    name = fields.pop("model", None)
    if name is not None and not isinstance(name, str):
        raise InvalidInput("model", f'"model" is {json_type(name)}. Send the model\'s name as a string.')
    return None if name in NAMELESS else checked_model_name(name)


def _message(message: Any, path: str) -> dict[str, str]:
    """The message as the model takes it: only its role and its text concern it."""
    if not isinstance(message, dict):
        raise InvalidInput(path, f'{path} is {json_type(message)}. Send {{"role": ROLE, "content": TEXT}}.')
    role = message.get("role")
    if not isinstance(role, str):
        raise InvalidInput(f"{path}.role", f'{path}.role is {json_type(role)}. Send "system", "user" or "assistant".')
    for name in ("audio", "function_call", "tool_calls"):
        if message.get(name):
            raise InvalidInput(f"{path}.{name}", f"{path} has {name}, and models here read and write text alone.")
    if role in ("function", "tool"):
        raise InvalidInput(
            f"{path}.role", f"{path} is the answer of a {role}, and models here call none. Leave it out."
        )
    # Models have learnt the older name.
    return {"role": "system" if role == "developer" else role, "content": _text(message.get("content"), path)}


def _text(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(f"{path}.content", f"{path}.content is {json_type(content)}. Send a text.")
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            what = _shown(part.get("type")) if isinstance(part, dict) else json_type(part)
            raise InvalidInput(
                f"{path}.content[{index}]",
                f'{path}.content[{index}] is {what}, and models here read text. Send {{"type": "text", "text": TEXT}}.',
            )
        texts.append(part["text"])
    return "\n".join(texts)


def _longest(asked: Mapping[str, Any]) -> Any:
    return asked.get("max_completion_tokens", asked.get("max_tokens"))


def _penalties(asked: Mapping[str, Any], wrapper: ModelWrapper) -> dict[str, Any]:
    names = [name for name in ("presence_penalty", "frequency_penalty") if name in asked]
    # A model that was published before these can be asked for none.
    return {name: asked[name] for name in names if name in wrapper.parameters or asked[name] != 0}


def _heat(temperature: Any) -> dict[str, Any]:
    if isinstance(temperature, int | float) and not isinstance(temperature, bool) and 0 <= temperature < COLD:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature}


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(name, f'"{name}" is {json_type(value)}. Send true or false.')
    return value


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(name, f'"{name}" is {_shown(value)}. Send an integer.')
    return value


def _alternatives(name: str, value: Any) -> int:
    if not 0 <= _whole(name, value) <= 20:
        raise InvalidInput(name, f'"{name}" is {value}. Send an integer from 0 to 20.')
    return int(value)


def _is_single(data: Any) -> bool:
    """Whether it is one prompt, and not a list of them."""
    return not isinstance(data, list) or not isinstance(data[0], str | list)


def _base64(vector: list[float]) -> str:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
