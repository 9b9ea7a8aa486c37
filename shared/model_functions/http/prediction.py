"""A prediction's request and answer on ``/predict``: the same for a family and for the gateway."""

from dataclasses import dataclass
from typing import Any

from model_functions.errors import InvalidInput
from model_functions.http.body import parse_json, read_body, read_json
from model_functions.http.front_door import method_not_allowed
from model_functions.http.message import Request
from model_functions.inputs import json_type

_FIELDS = ("model_name", "data", "inputs", "parameters")


@dataclass(frozen=True)
class PredictionRequest:
    """What the caller asks.

    Args:
        data: the input; for a query string the list of its texts, which the model's input reads.
        parameters: by name; for a query string their texts.
        is_query: whether it came as a query string.
    """

    model_name: str | None
    data: Any
    parameters: dict[str, Any]
    is_query: bool = False


def read_prediction_request(request: Request, limit: int) -> PredictionRequest:
    """What a POST's body, or a GET's query or body, asks. Raises MethodNotAllowed for a GET with neither."""
    if request.method != "GET":
        return from_json(read_json(request, limit))
    if request.query:
        return from_query(request.query)
    body = read_body(request, limit)
    if not body:
        raise method_not_allowed(request, ("POST",))
    return from_json(parse_json(body))


def from_json(value: Any) -> PredictionRequest:
    if not isinstance(value, dict):
        raise InvalidInput("", f'The body is {json_type(value)}. Send an object: {{"model_name": NAME, "data": DATA}}.')
    for field in value:
        if field not in _FIELDS:
            raise InvalidInput(
                field[:60], f'"{field[:60]}" is no field of a request. The fields: {", ".join(_FIELDS)}.'
            )
    given = [field for field in ("data", "inputs") if field in value]
    if len(given) != 1:
        what = "both data and inputs" if given else "no data"
        raise InvalidInput("data", f'The request has {what}. Send "data" or "inputs", once.')
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidInput("parameters", f'"parameters" is {json_type(parameters)}. Send an object by name.')
    return PredictionRequest(checked_model_name(value.get("model_name")), value[given[0]], parameters)


def from_query(query: list[tuple[str, str]]) -> PredictionRequest:
    texts = [value for name, value in query if name in ("data", "inputs")]
    if not texts:
        raise InvalidInput("data", 'The query has no data. Send ?model_name=NAME&data=DATA, or POST {"data": DATA}.')
    rest = [(name, value) for name, value in query if name not in ("data", "inputs")]
    parameters = dict(rest)
    if len(parameters) != len(rest):
        raise InvalidInput("parameters", "The query has a parameter twice. Send each once; only data may repeat.")
    return PredictionRequest(checked_model_name(parameters.pop("model_name", None)), texts, parameters, is_query=True)


def checked_model_name(value: Any) -> str | None:
    """The value of a ``model_name`` field. Raises InvalidInput for what is no string."""
    if value is not None and not isinstance(value, str):
        raise InvalidInput("model_name", f'"model_name" is {json_type(value)}. Send the model\'s name as a string.')
    return value
