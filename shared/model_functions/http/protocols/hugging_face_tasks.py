"""How Hugging Face asks each task, and which shape of answer its clients want."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from model_functions.errors import InvalidInput
from model_functions.http.protocols.answer_length import answer_length
from model_functions.inputs import json_type
from model_functions.wrapper import ModelWrapper


@dataclass(frozen=True)
class Asked:
    """A request.

    Args:
        inputs: None: it has none.
        fields: what stands at the root of the body beside inputs and parameters.
    """

    inputs: Any
    parameters: dict[str, Any]
    fields: dict[str, Any]

    @property
    def is_single(self) -> bool:
        return not isinstance(self.inputs, list)


class Task:
    """What the tasks share: ``inputs`` is the data, ``parameters`` are the model's, and the prediction is the answer.

    Args:
        wrapper: what answers.
    """

    fields: ClassVar[tuple[str, ...]] = ("stream",)
    """What may stand at the root of the body."""
    only: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Parameters that a model here does not have, and the values of them that ask for nothing."""

    def __init__(self, wrapper: ModelWrapper) -> None:
        self.wrapper = wrapper

    def read(self, asked: Asked) -> tuple[Any, dict[str, Any]]:
        """Data and parameters. Raises InvalidInput."""
        self.check_fields(asked)
        return self.data(asked), self.parameters(self.possible(asked.parameters))

    def check_fields(self, asked: Asked) -> None:
        for name in asked.fields:
            if name not in self.fields:
                raise InvalidInput(name[:60], f'"{name[:60]}" is no field of a {self.wrapper.task} request.')

    def data(self, asked: Asked) -> Any:
        if asked.inputs is None:
            raise InvalidInput("inputs", 'The request has no "inputs". Send them.')
        return asked.inputs

    def possible(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters without those that ask for nothing. Raises InvalidInput for what is not done here."""
        only = {name: values for name, values in self.only.items() if name not in self.wrapper.parameters}
        for name, values in only.items():
            if name in parameters and parameters[name] not in values:
                raise InvalidInput(
                    f"parameters.{name}",
                    f'"{name}" is {_shown(parameters[name])}, which is not done here. Leave it out.',
                )
        return {name: value for name, value in parameters.items() if name not in only}

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        return given

    def answer(self, prediction: Any, asked: Asked) -> Any:
        return prediction

    def pieces(self, told: Iterator[tuple[str | None, Any]], asked: Asked) -> Iterator[Any]:
        """The events of a stream."""
        for kind, piece in told:
            if kind is None:
                yield piece


class TextClassification(Task):
    """``[[{"label", "score"}]]`` also for a single text; with candidate labels ``[{"label", "score"}]``."""

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        labels = given.get("candidate_labels")
        if isinstance(labels, str):
            return given | {"candidate_labels": [label.strip() for label in labels.split(",")]}
        return given

    def answer(self, prediction: Any, asked: Asked) -> Any:
        if "candidate_labels" not in asked.parameters:
            return [prediction] if asked.is_single else prediction
        return _paired(prediction) if asked.is_single else [_paired(one) for one in prediction]


class TokenClassification(Task):
    """The entities as they are."""

    only: ClassVar[Mapping[str, tuple[Any, ...]]] = {"stride": (0,)}

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        ignored = given.get("ignore_labels", ["O"])
        if not isinstance(ignored, list) or "O" not in ignored:
            raise InvalidInput(
                "parameters.ignore_labels",
                f'"ignore_labels" is {_shown(ignored)}, and what is outside of entities is never told. Add "O".',
            )
        return {name: value for name, value in given.items() if name != "ignore_labels"}

    def answer(self, prediction: Any, asked: Asked) -> Any:
        ignored = asked.parameters.get("ignore_labels", [])
        return _told(prediction, ignored) if asked.is_single else [_told(one, ignored) for one in prediction]


class TextToText(Task):
    """Translation and summarization: a list also for a single text."""

    only: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        # How an answer's spaces are cleaned up is the model's own affair.
        "clean_up_tokenization_spaces": (True, False),
        "truncation": ("do_not_truncate",),
    }

    def possible(self, parameters: dict[str, Any]) -> dict[str, Any]:
        nested = parameters.get("generate_parameters", {})
        if not isinstance(nested, dict):
            raise InvalidInput(
                "parameters.generate_parameters",
                f'"generate_parameters" is {json_type(nested)}. Send an object by name.',
            )
        joined = {name: value for name, value in parameters.items() if name != "generate_parameters"} | nested
        return super().possible(joined)

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        called = {"src_lang": "source_language", "tgt_lang": "target_language"}
        found = {called.get(name, name): value for name, value in given.items()}
        # An answer's start token counts for these.
        for theirs, ours in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            if theirs in found:
                length = found.pop(theirs)
                found.setdefault(ours, max(length - 1, 0) if type(length) is int else length)
        if "max_new_tokens" in found:
            found = answer_length(found["max_new_tokens"], self.wrapper) | found
        return found

    def answer(self, prediction: Any, asked: Asked) -> Any:
        return [prediction] if isinstance(prediction, dict) else prediction


class FeatureExtraction(Task):
    """Vectors, a list of them also for a single text; similarities as they are. Parameters stand at the root too."""

    only: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "encoding_format": ("float",),
        "truncation_direction": ("right", "Right"),
    }

    def check_fields(self, asked: Asked) -> None:
        """Whatever it is, it is looked at as a parameter."""

    def read(self, asked: Asked) -> tuple[Any, dict[str, Any]]:
        parameters = self.possible(asked.parameters | asked.fields)
        return self.data(asked), {name: value for name, value in parameters.items() if name != "dimensions"}

    def answer(self, prediction: Any, asked: Asked) -> Any:
        if isinstance(asked.inputs, dict):
            return prediction
        vectors = prediction if isinstance(asked.inputs, list) else [prediction]
        wanted = (asked.parameters | asked.fields).get("dimensions")
        if wanted not in (None, len(vectors[0])):
            raise InvalidInput(
                "dimensions",
                f'"dimensions" is {_shown(wanted)}, and the vectors here have {len(vectors[0])}. Leave it out.',
            )
        return vectors


class ImageClassification(Task):
    """A file, or the same in base64."""

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        usual = "sigmoid" if getattr(self.wrapper, "multi_label", False) else "softmax"
        asked = given.get("function_to_apply", usual)
        if asked != usual:
            raise InvalidInput(
                "parameters.function_to_apply",
                f'"function_to_apply" is {_shown(asked)}, and this model\'s is {usual}. Leave it out.',
            )
        found = {name: value for name, value in given.items() if name != "function_to_apply"}
        most = self.wrapper.parameters["top_k"].maximum
        # Who asks for more labels than there are gets all.
        if most is not None and type(found.get("top_k")) is int:
            found["top_k"] = min(found["top_k"], int(most))
        return found


class Tabular(Task):
    """Columns by their names, whose values may be spelled as text; the answer is the predictions alone."""

    fields: ClassVar[tuple[str, ...]] = ("table",)

    def data(self, asked: Asked) -> Any:
        table = asked.fields.get("table", asked.inputs)
        if isinstance(table, dict) and list(table) == ["data"]:
            table = table["data"]
        if not isinstance(table, dict):
            return table if table is not None else super().data(asked)
        if not all(isinstance(values, list) for values in table.values()):
            return [table]
        counts = {len(values) for values in table.values()}
        if len(counts) != 1 or counts == {0}:
            raise InvalidInput(
                "table", f'The columns of "table" have {_shown(sorted(counts))} values. Send as many in each.'
            )
        columns = {column.name: column for column in getattr(self.wrapper.input, "columns", [])}
        return [
            {
                name: columns[name].parse(value) if name in columns and isinstance(value, str) else value
                for name, value in zip(table, row, strict=True)
            }
            for row in zip(*table.values(), strict=True)
        ]

    def answer(self, prediction: Any, asked: Asked) -> Any:
        return [one["prediction"] for one in (prediction if isinstance(prediction, list) else [prediction])]


class TextGeneration(Task):
    """A list also for a single text; with ``details`` how it ended and its tokens. A stream has an event a token."""

    only: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "adapter_id": (),
        "best_of": (1,),
        "decoder_input_details": (False,),
        "grammar": (),
        "truncate": (),
        # Of a model that was published before it could do so.
        "typical_p": (1, 1.0),
        "watermark": (False,),
    }

    def read(self, asked: Asked) -> tuple[Any, dict[str, Any]]:
        data, found = super().read(asked)
        found = answer_length(found.get("max_new_tokens"), self.wrapper, data) | found
        streams = asked.fields.get("stream", False)
        if streams and (not _is_one(data) or found["num_return_sequences"] != 1):
            raise InvalidInput("stream", '"stream" is true, which tells one answer to one text. Leave it out.')
        details = asked.parameters.get("details", False)
        if not isinstance(details, bool):
            raise InvalidInput("parameters.details", f'"details" is {json_type(details)}. Send true or false.')
        # A model that was published before it could tell its tokens streams without their numbers.
        if details or (streams and "logprobs" in self.wrapper.parameters):
            found.setdefault("logprobs", 0)
        if streams or details:
            # Beams are neither told in pieces nor by their tokens, and a client cannot know that a model has them.
            found.setdefault("num_beams", 1)
        return data, found

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        called = {"stop_sequences": "stop", "top_n_tokens": "logprobs"}
        found = {called.get(name, name): value for name, value in given.items() if name != "details"}
        found.setdefault("num_return_sequences", 1)
        if {"temperature", "top_k", "top_p", "typical_p"} & set(found):
            found.setdefault("do_sample", True)
        return found

    def answer(self, prediction: Any, asked: Asked) -> Any:
        if _is_one(asked.inputs):
            several = prediction if isinstance(prediction, list) else [prediction]
            return [_generated(one, asked) for one in several]
        return [[_generated(one, asked) for one in (item if isinstance(item, list) else [item])] for item in prediction]

    def pieces(self, told: Iterator[tuple[str | None, Any]], asked: Asked) -> Iterator[Any]:
        text, count = "", 0
        for kind, piece in told:
            if kind is not None:
                return
            text += piece["text"]
            *before, last = _shared(piece, with_special=asked.parameters.get("details", False))
            for token in before:
                count += 1
                yield {"index": count, "token": token, "generated_text": None, "details": None}
            count += 1
            ended = "finish_reason" in piece
            yield {
                "index": count,
                "token": last,
                "generated_text": text if ended else None,
                "details": _details(piece, asked) if ended else None,
            }


_TASKS: dict[str, type[Task]] = {
    "feature_extraction": FeatureExtraction,
    "image_classification": ImageClassification,
    "summarization": TextToText,
    "tabular": Tabular,
    "text_classification": TextClassification,
    "text_generation": TextGeneration,
    "token_classification": TokenClassification,
    "translation": TextToText,
}


def task_of(wrapper: ModelWrapper) -> Task:
    """That of the wrapper's family. What Hugging Face does not know, a wrapper of the publisher's own among it, answers
    as it does.
    """
    module = f"model_functions.families.{wrapper.family}"
    known = any(base.__module__ == module for base in type(wrapper).__mro__)
    return (_TASKS.get(wrapper.family, Task) if known else Task)(wrapper)


def _paired(prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
    pairs = zip(prediction["labels"], prediction["scores"], strict=True)
    return [{"label": label, "score": score} for label, score in pairs]


def _told(entities: list[dict[str, Any]], ignored: list[str]) -> list[dict[str, Any]]:
    return [one for one in entities if one.get("entity_group", one.get("entity")) not in ignored]


def _is_one(inputs: Any) -> bool:
    """Whether it is one text, chat or list of tokens, and not a list of them."""
    return not isinstance(inputs, list) or not inputs or not isinstance(inputs[0], str | list)


def _generated(prediction: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    found = {"generated_text": prediction["generated_text"]}
    if not asked.parameters.get("details"):
        return found
    tokens = [_token(token) for token in prediction["tokens"]]
    alternatives = [[_token(other) for other in token["top"]] for token in prediction["tokens"]]
    top = {"top_tokens": alternatives} if "top_n_tokens" in asked.parameters else {}
    return found | {"details": _details(prediction, asked) | {"prefill": [], "tokens": tokens} | top}


def _details(ended: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    reason = "stop_sequence" if "stop_sequence" in ended else ended["finish_reason"]
    return {
        "finish_reason": {"stop": "eos_token"}.get(reason, reason),
        "generated_tokens": ended["generated_tokens"],
        "input_length": ended["prompt_tokens"],
        "seed": asked.parameters.get("seed"),
    }


def _shared(piece: Mapping[str, Any], *, with_special: bool) -> list[dict[str, Any]]:
    """The piece's tokens with its text shared out among them: what a stop sequence took away is told by none.

    Args:
        with_special: whether special tokens have their names for a text.
    """
    text, tokens = piece["text"], piece.get("tokens") or [{"id": None, "text": "", "logprob": None, "special": False}]
    found = []
    for token in tokens:
        count = 0 if token["special"] else len(token["text"])
        own, text = text[:count], text[count:]
        found.append(_token(token) | {"text": token["text"] if token["special"] and with_special else own})
    last = found[-1]
    return [*found[:-1], last | {"text": last["text"] + text}] if text else found


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    return {name: token[name] for name in ("id", "text", "logprob", "special")}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
