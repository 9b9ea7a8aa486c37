"""OpenAI's chats and completions: what follows them, whole or in pieces."""

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from model_functions.errors import InvalidInput
from model_functions.http.message import Response
from model_functions.http.protocols.answer_length import answer_length
from model_functions.http.protocols.openai_fields import (
    RENAMED,
    SINGLE_VALUED,
    WITHOUT_EFFECT,
    flag,
    model_name_of,
    whole,
)
from model_functions.http.protocols.openai_logprobs import Logprobs, of_chat, of_completion
from model_functions.http.protocols.openai_messages import read_message
from model_functions.http.question import Question, answer_json, finite_event
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper

#: Below this the likeliest token is drawn in any case.
COLD = 0.001

_SEEDS = 2**63


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
        found: dict[str, Any] = {"num_return_sequences": whole("n", asked.get("n", 1))}
        found |= answer_length(_longest(asked), wrapper, self.data) | _penalties(asked, wrapper)
        if "stop" in asked:
            stop = asked["stop"]
            found["stop"] = [stop] if isinstance(stop, str) else None if stop == [] else stop
        if "seed" in asked:
            # Theirs may be negative.
            found["seed"] = whole("seed", asked["seed"]) % _SEEDS
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
        _counts(self.fields)
        return flag("stream", self.fields.get("stream", False))

    @abstractmethod
    def logprobs(self) -> int | None:
        """How many alternatives are told of each token; None: not even the tokens."""

    @abstractmethod
    def choice(self, index: int, prediction: Mapping[str, Any]) -> dict[str, Any]:
        """An answer, whole."""

    @abstractmethod
    def choice_piece(
        self, index: int, piece: Mapping[str, Any], logprobs: Logprobs, *, is_first: bool
    ) -> dict[str, Any]:
        """A piece of an answer."""

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        choices = [self.choice(index, one) for index, one in enumerate(self._flat(prediction))]
        told = self._head(model, self.object) | {"choices": choices, "usage": self._usage(prediction)}
        return answer_json(model, told)

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        counted = _counts(self.fields)
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
        wanted = flag("logprobs", self.fields.get("logprobs", False))
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
        return data, found | {"return_full_text": flag("echo", self.fields.get("echo", False))}

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


def read_chat(fields: dict[str, Any], request_id: str) -> Question:
    messages = fields.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        what = "an empty list" if messages == [] else json_type(messages)
        raise InvalidInput("messages", f'"messages" is {what}. Send a list of messages.')
    read = [read_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
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


def _asked(fields: dict[str, Any], data: Any, own: set[str]) -> tuple[str | None, Any, dict[str, Any], dict[str, Any]]:
    """The question's model, data, parameters and fields.

    Args:
        own: fields that this kind of question has beside those of all.
    """
    name = model_name_of(fields)
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


def _counts(asked: Mapping[str, Any]) -> bool:
    """Whether a stream ends with the usage."""
    options = asked.get("stream_options", {})
    if not isinstance(options, dict):
        raise InvalidInput(
            "stream_options", f'"stream_options" is {json_type(options)}. Send {{"include_usage": true}}.'
        )
    wanted = options.get("include_usage")
    return wanted is not None and flag("include_usage", wanted)


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


def _alternatives(name: str, value: Any) -> int:
    if not 0 <= whole(name, value) <= 20:
        raise InvalidInput(name, f'"{name}" is {value}. Send an integer from 0 to 20.')
    return int(value)


def _is_single(data: Any) -> bool:
    """Whether it is one prompt, and not a list of them."""
    return not isinstance(data, list) or not isinstance(data[0], str | list)
