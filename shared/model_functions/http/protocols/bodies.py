"""Bodies that are the data itself, as TorchServe and SageMaker take them: JSON, raw bytes, forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from model_functions.errors import InvalidEncoding, InvalidInput
from model_functions.http.body import media_type, parse_json, read_body, read_json
from model_functions.http.message import JSON, Request, Response
from model_functions.http.prediction import FORM, PredictionRequest, checked_model_name, parameters_field
from model_functions.http.question import answer_json, headers_of
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper

#: What a field of a form, or of an object, is called that holds the data.
FIELDS = ("data", "body")

#: What curl calls a body of which nobody says what it is.
URLENCODED = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class BodyQuestion(PredictionRequest):
    """Its answer is the prediction alone.

    Args:
        raw: the data where it is no JSON: a body, or the parts of a form.
        whole: all that came as JSON, for models that read bodies themselves.
    """

    raw: Sequence[bytes] = ()
    whole: Any = None

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        if wrapper.reads_bodies:
            return list(self.raw) or [self.whole], {}
        if self.raw:
            self.data = _of_bytes(self.raw, wrapper)
        return PredictionRequest.read(self, wrapper)

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        if model.wrapper.reads_bodies and len(prediction) == 1:
            [prediction] = prediction
        if isinstance(prediction, str):
            return Response.text(prediction, "text/plain; charset=utf-8", headers_of(model))
        return answer_json(model, prediction)


def read_body_question(request: Request, limit: int) -> BodyQuestion:
    """What the body asks, and the query string beside it: parameters by name. Raises InvalidInput, InvalidJson."""
    spelled = dict(request.query)
    if len(spelled) != len(request.query):
        raise InvalidInput("parameters", "The query has a parameter twice. Send each once.")
    name = checked_model_name(spelled.pop("model_name", None))
    question = _question(request, limit)
    question.model_name = name
    if spelled.keys() & {*question.parameters, *question.spelled}:
        raise InvalidInput("parameters", "A parameter stands in the query and in the body. Send it once.")
    question.spelled = spelled | question.spelled
    return question


def looks_like_json(body: bytes) -> bool:
    """Whether a body of which nobody says what it is seems to be an object or a list."""
    return body[:64].lstrip()[:1] in (b"{", b"[")


def _question(request: Request, limit: int) -> BodyQuestion:
    kind = media_type(request)
    if kind == JSON or kind.endswith("+json"):
        return _of_json(read_json(request, limit))
    body = read_body(request, limit)
    if kind == FORM:
        return _of_form(body, request.headers["content-type"])
    if kind in ("", URLENCODED) and looks_like_json(body):
        return _of_json(parse_json(body))
    if kind == URLENCODED:
        fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        if any(name in FIELDS for name, _ in fields):
            return _of_parts([(name, value.encode()) for name, value in fields])
    if not body:
        raise InvalidInput("", "The body is empty. Send the data: JSON, a text or a file.")
    return BodyQuestion(None, None, {}, raw=[body])


def _of_json(value: Any) -> BodyQuestion:
    """Of an object with such a field the field, and its ``parameters``; else all of it is the data."""
    keys = value.keys() if isinstance(value, dict) else set()
    named = [field for field in FIELDS if field in keys]
    if len(named) != 1 or not keys <= {*named, "parameters"}:
        return BodyQuestion(None, value, {}, whole=value)
    return BodyQuestion(None, value[named[0]], parameters_field(value), whole=value)


def _of_form(body: bytes, content_type: str) -> BodyQuestion:
    # Imported here: a request in JSON has no use for it.
    from model_functions.http.form import read_form

    parts = read_form(body, content_type)
    files = [("data" if part.filename is not None else part.name, part.data) for part in parts]
    return _of_parts(files)


def _of_parts(parts: list[tuple[str, bytes]]) -> BodyQuestion:
    """A part that is called so, and each file, is an item; the others are parameters."""
    raw = [data for name, data in parts if name in FIELDS]
    if not raw:
        raise InvalidInput("data", 'The form has no field "data". Send one, as curl -F data=@image.png does.')
    rest = [(name, data.decode(errors="replace")) for name, data in parts if name not in FIELDS]
    spelled = dict(rest)
    if len(spelled) != len(rest):
        raise InvalidInput("parameters", "The form has a parameter twice. Send each once.")
    return BodyQuestion(None, None, {}, spelled, raw=raw)


def _of_bytes(raw: Sequence[bytes], wrapper: ModelWrapper) -> Any:
    """Files where the model reads them, else texts that spell its input."""
    if wrapper.media:
        return raw[0] if len(raw) == 1 else list(raw)
    try:
        return wrapper.input.from_query([one.decode() for one in raw])
    except UnicodeDecodeError as exc:
        raise InvalidEncoding(f"The body is not UTF-8: byte {exc.start} cannot be read. Send UTF-8.") from exc
