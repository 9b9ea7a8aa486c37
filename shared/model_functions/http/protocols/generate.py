"""Triton's ``generate`` and ``generate_stream``: a text in, what a model writes out.

Source: triton-inference-server/server, docs/protocol/extension_generate.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_functions.errors import InvalidInput
from model_functions.http.body import read_json
from model_functions.http.message import EVENTS, Request, Response
from model_functions.http.protocols.inference import model_parameters
from model_functions.http.protocols.inference_request import parameters_of, shorten_by_timeout
from model_functions.http.question import Question, answer_json, finite_event
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper

_FIELDS = ("id", "text_input", "parameters")

#: Parameters of a model by what Triton's own backends call them.
RENAMED = {"max_new_tokens": "max_tokens", "seed": "random_seed", "stop": "stop_words"}


@dataclass(slots=True)
class GenerateQuestion(Question):
    """A text to go on with, to translate or to summarize.

    Args:
        id: of the caller's own, repeated in the answer.
        in_pieces: whether the answer is events, as many as the model has pieces.
    """

    id: str | None = None
    in_pieces: bool = False

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        parameters = model_parameters(wrapper, self.parameters)
        if type(parameters.get("temperature")) in (int, float) and parameters["temperature"] == 0:
            # Their documentation asks so for what is likeliest.
            del parameters["temperature"]
            parameters["do_sample"] = False
        return self.data, parameters

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        return self.in_pieces and wrapper.streams

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        outputs = [_text(one) for one in (prediction if isinstance(prediction, list) else [prediction])]
        told = self._told(model, outputs if isinstance(prediction, list) else outputs[0])
        if not self.in_pieces:
            return answer_json(model, told)
        response = answer_json(model, told, {"Content-Type": EVENTS})
        response.body = finite_event(model, None, told)
        return response

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        for kind, piece in told:
            if kind is None:
                facts = {name: value for name, value in piece.items() if name not in ("text", "index")}
                yield finite_event(model, None, self._told(model, piece["text"]) | facts)

    def _told(self, model: LoadedModel, output: Any) -> dict[str, Any]:
        number = {} if self.id is None else {"id": self.id}
        names = {"model_name": model.manifest.name, "model_version": model.manifest.revision}
        return number | names | {"text_output": output}


def read_generate(request: Request, limit: int, *, in_pieces: bool = False) -> GenerateQuestion:
    """What is no field of the protocol is a parameter of the model's, as Triton has it."""
    body = read_json(request, limit)
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"text_input": TEXT}}.')
    text, number = body.get("text_input"), body.get("id")
    if not isinstance(text, str):
        raise InvalidInput("text_input", f'"text_input" is {json_type(text)}. Send a string.')
    if number is not None and not isinstance(number, str):
        raise InvalidInput("id", f'"id" is {json_type(number)}. Send a string.')
    parameters = parameters_of(body, "parameters")
    given = {name: value for name, value in body.items() if name not in _FIELDS} | parameters
    shorten_by_timeout(request, given)
    # Whether it streams is said by the path.
    given.pop("stream", None)
    for name in ("bad_words", "stop_words"):
        # As Triton's examples send them.
        if given.get(name) in ("", [], [""]):
            del given[name]
    for parameter, called in RENAMED.items():
        if called in given:
            given[parameter] = given.pop(called)
    if isinstance(given.get("stop"), str) and not given["stop"].startswith("["):
        given["stop"] = [given["stop"]]
    return GenerateQuestion(None, text, given, number, in_pieces)


def _text(prediction: dict[str, Any]) -> str:
    """``generated_text``, ``translation_text`` or ``summary_text``."""
    return next(str(value) for name, value in prediction.items() if name.endswith("_text"))
