"""What ``/predict`` asks and answers: the same for a family and for the gateway."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from model_functions.errors import InvalidEncoding, InvalidInput, NotAcceptable
from model_functions.http.body import media_type, parse_json, read_body, read_json
from model_functions.http.front_door import method_not_allowed
from model_functions.http.message import Request, Response
from model_functions.http.question import Question, answer_json, finite_event
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import STREAM, ModelWrapper

_FIELDS = ("model_name", "data", "inputs", "parameters")


@dataclass(slots=True)
class PredictionRequest(Question):
    """What the caller asks.

    Args:
        data: the input; for a query string the list of its texts, which the model's input reads.
        spelled: parameters as the texts that a query string or a form has of them.
        is_query: whether it came as a query string.
        accepts_events: whether the caller would rather have the answer piece by piece.
    """

    spelled: dict[str, str] = field(default_factory=dict)
    is_query: bool = False
    accepts_events: bool = False

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        """A query string or a form spells them."""
        data = wrapper.input.from_query(self.data) if self.is_query else self.data
        parameters = {
            name: wrapper.parameters[name].parse(text) if name in wrapper.parameters else text
            for name, text in self.spelled.items()
        }
        return data, self.parameters | parameters

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        """By the parameter, or where it is silent by ``Accept``."""
        parameter = wrapper.parameters.get(STREAM.name)
        if parameter is None:
            if self.accepts_events:
                raise NotAcceptable(f"{wrapper.task} models do not stream. Accept application/json.")
            return False
        if STREAM.name in self.spelled:
            return bool(parameter.parse(self.spelled[STREAM.name]))
        given = self.parameters.get(STREAM.name)
        return bool(parameter.default) or self.accepts_events if given is None else bool(parameter.check(given))

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, _told(model, prediction))

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        for kind, value in told:
            yield finite_event(model, kind, value if kind is None else _told(model, value))


def _told(model: LoadedModel, prediction: Any) -> dict[str, Any]:
    return {"model_name": model.manifest.name, "revision": model.manifest.revision, "body": prediction}


#: The type of a form, which may hold files wherever a body may be one.
FORM = "multipart/form-data"

#: What may be a file for some family, for who does not know the family yet.
ANY_MEDIA = ("image/*", "application/octet-stream")


def read_prediction_request(request: Request, limit: int, media: Sequence[str] = ()) -> PredictionRequest:
    """What a POST's body, or a GET's query or body, asks. Raises MethodNotAllowed for a GET with neither.

    Args:
        media: types of files that the body, or the files of a form, may be.
    """
    asked = _read(request, limit, media)
    asked.accepts_events = request.accepts_events()
    return asked


def _read(request: Request, limit: int, media: Sequence[str]) -> PredictionRequest:
    if request.method != "GET":
        if not media:
            return from_json(read_json(request, limit))
        kind = media_type(request)
        if kind == FORM:
            return from_form(request, limit)
        if any(fnmatchcase(kind, known) for known in media):
            return _with_files([read_body(request, limit)], request.query, {})
        try:
            return from_json(read_json(request, limit, [*media, FORM]))
        except InvalidEncoding as exc:
            # curl --data-binary calls an image a form, if nobody tells it otherwise.
            raise InvalidEncoding(f"{exc.message} If it is a file, name its type, as Content-Type: image/png.") from exc
    if request.query:
        return from_query(request.query)
    body = read_body(request, limit)
    if not body:
        raise method_not_allowed(request, ("POST",))
    return from_json(parse_json(body))


def from_json(value: Any) -> PredictionRequest:
    if not isinstance(value, dict):
        raise InvalidInput("", f'The body is {json_type(value)}. Send an object: {{"model_name": NAME, "data": DATA}}.')
    for key in value:
        if key not in _FIELDS:
            raise InvalidInput(key[:60], f'"{key[:60]}" is no field of a request. The fields: {", ".join(_FIELDS)}.')
    given = [key for key in ("data", "inputs") if key in value]
    if len(given) != 1:
        what = "both data and inputs" if given else "no data"
        raise InvalidInput("data", f'The request has {what}. Send "data" or "inputs", once.')
    parameters = checked_parameters(value.get("parameters", {}))
    return PredictionRequest(checked_model_name(value.get("model_name")), value[given[0]], parameters)


def from_query(query: list[tuple[str, str]]) -> PredictionRequest:
    texts = [value for name, value in query if name in ("data", "inputs")]
    if not texts:
        raise InvalidInput("data", 'The query has no data. Send ?model_name=NAME&data=DATA, or POST {"data": DATA}.')
    rest = [(name, value) for name, value in query if name not in ("data", "inputs")]
    parameters = dict(rest)
    if len(parameters) != len(rest):
        raise InvalidInput("parameters", "The query has a parameter twice. Send each once; only data may repeat.")
    name = checked_model_name(parameters.pop("model_name", None))
    return PredictionRequest(name, texts, {}, parameters, is_query=True)


def from_form(request: Request, limit: int) -> PredictionRequest:
    """A form's files are the data, whatever their fields are called. The other fields are those of a query string,
    and ``parameters``, an object as JSON.
    """
    # Imported here: a request in JSON has no use for it.
    from model_functions.http.form import read_form

    parts = read_form(read_body(request, limit), request.headers["content-type"])
    files = [part.data for part in parts if part.filename is not None]
    if not files:
        raise InvalidInput("data", "The form has no file. Send one, as curl -F file=@image.png does.")
    fields = [(part.name, part) for part in parts if part.filename is None]
    listed = [part.data for name, part in fields if name == "parameters"]
    parameters = parse_json(listed[0]) if len(listed) == 1 else {}
    if len(listed) > 1 or not isinstance(parameters, dict):
        raise InvalidInput("parameters", 'The field "parameters" is no object by name. Send one, as JSON.')
    texts = [(name, part.data.decode(errors="replace")) for name, part in fields if name != "parameters"]
    return _with_files(files, request.query + texts, parameters)


def _with_files(files: list[bytes], texts: list[tuple[str, str]], parameters: dict[str, Any]) -> PredictionRequest:
    """Where the body is the data, what is asked of it stands in the URL, or in the other fields of its form."""
    spelled = dict(texts)
    if "data" in spelled or "inputs" in spelled:
        raise InvalidInput("data", "The request has data as text beside a file. Send the one or the other.")
    twice = [name for name in spelled if name in parameters]
    if len(spelled) != len(texts) or twice:
        raise InvalidInput("parameters", "The request has a parameter twice. Send each once.")
    name = checked_model_name(spelled.pop("model_name", None))
    return PredictionRequest(name, files[0] if len(files) == 1 else files, parameters, spelled)


def parameters_field(body: Mapping[str, Any], key: str = "parameters") -> dict[str, Any]:
    """What the field holds; without it, or where it is null, there are none. Raises InvalidInput."""
    value = body.get(key)
    return {} if value is None else checked_parameters(value, key)


def checked_parameters(value: Any, key: str = "parameters") -> dict[str, Any]:
    """The value of a field of parameters. Raises InvalidInput for what is no object."""
    if not isinstance(value, dict):
        raise InvalidInput(key, f'"{key}" is {json_type(value)}. Send an object by name.')
    return value


def checked_model_name(value: Any) -> str | None:
    """The value of a ``model_name`` field. Raises InvalidInput for what is no string."""
    if value is not None and not isinstance(value, str):
        raise InvalidInput("model_name", f'"model_name" is {json_type(value)}. Send the model\'s name as a string.')
    return value
