"""``/invocations``: MLflow's scoring server and SageMaker's containers.

MLflow's bodies, told by their key, are answered with ``{"predictions": [...]}``; those of SageMaker's Hugging Face
containers (``inputs`` with ``parameters``, or a single text) and those that are the data itself with the prediction
alone. Sources: mlflow, mlflow/pyfunc/scoring_server/__init__.py; SageMaker's documentation of inference code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ModelNotFound, ServingError
from model_functions.http.body import check_charset, media_type, parse_json, read_body, read_json
from model_functions.http.errors import refused, status_of
from model_functions.http.message import JSON, Request, Response
from model_functions.http.prediction import FORM, checked_model_name, parameters_field
from model_functions.http.protocols.bodies import URLENCODED, looks_like_json, read_body_question
from model_functions.http.protocols.tables import (
    NPY,
    ArrayQuestion,
    ArrayToArrayQuestion,
    CsvQuestion,
    TableQuestion,
    read_csv,
    rows_of_columns,
)
from model_functions.http.protocols.tensorflow_serving import ColumnQuestion, RowQuestion
from model_functions.http.question import Question, answer_json
from model_functions.http.routes import Table
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from model_functions.http.service import Service

CSV = "text/csv"

#: Types of bodies that are the data itself, besides images.
_WHOLE = ("text/plain", "application/octet-stream", "application/x-image", FORM)

#: What a request of MLflow's has, one of them.
_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")

_CODES = {
    404: "ENDPOINT_NOT_FOUND",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def routes(service: "Service") -> Table:
    asked = service.predicting(lambda request: read(request, service.settings.max_body_bytes))
    return {
        "/invocations": {"POST": asked},
        # SageMaker's containers of several models.
        "/models/{model}/invoke": {"POST": asked},
        "/version": {"GET": version},
    }


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error_code": CODE, "message": text}``, as MLflow does."""
    status = status_of(error)
    code = "RESOURCE_DOES_NOT_EXIST" if isinstance(error, ModelNotFound) else _CODES.get(status)
    fallback = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    record = {"error_code": code or fallback, "message": error.message}
    return refused(error, record, status)


def version(request: Request) -> Response:
    """Of this API."""
    return Response.text("1", JSON)


def read(request: Request, limit: int) -> Question:
    """What the body asks, by its type. The query may name the model."""
    question = _read(request, limit)
    question.model_name = checked_model_name(dict(request.query).get("model_name"))
    return question


def _read(request: Request, limit: int) -> Question:
    kind = media_type(request)
    if kind == CSV:
        check_charset(request.headers["content-type"])
        option = request.headers["content-type"].replace(" ", "").lower()
        header = True if "header=present" in option else False if "header=absent" in option else None
        return CsvQuestion(None, read_csv(read_body(request, limit)), {}, header)
    if kind == NPY:
        wants_array = NPY in request.headers.get("accept", "")
        return (ArrayToArrayQuestion if wants_array else ArrayQuestion)(None, read_body(request, limit), {})
    if kind in _WHOLE or kind.startswith("image/"):
        return read_body_question(request, limit)
    if kind in ("", URLENCODED):
        body = read_body(request, limit)
        return (
            _of_json(parse_json(body, constants=True)) if looks_like_json(body) else read_body_question(request, limit)
        )
    return _of_json(read_json(request, limit, [CSV, "text/plain", NPY, "image/*"], constants=True))


@dataclass(slots=True)
class AloneQuestion(Question):
    """The answer is the prediction alone; what is written is in a list, as pipelines have it."""

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        is_written = isinstance(prediction, dict) and any(name.endswith("_text") for name in prediction)
        return answer_json(model, [prediction] if is_written else prediction)


@dataclass(slots=True)
class InstanceQuestion(RowQuestion):
    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, {"predictions": prediction})


@dataclass(slots=True)
class InputsQuestion(Question):
    """``inputs``: columns by name, or a list of items; for models of tensors a tensor by name, or the only one."""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        if wrapper.input.kind == "tensors":
            return ColumnQuestion(None, self.data, self.parameters).read(wrapper)
        rows = rows_of_columns(self.data, "inputs") if isinstance(self.data, dict) else self.data
        return TableQuestion(None, rows, self.parameters).read(wrapper)

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, {"predictions": prediction})


def _of_json(value: Any) -> Question:
    if not isinstance(value, dict):
        return AloneQuestion(None, value, {})
    given = [key for key in _KEYS if key in value]
    if len(given) != 1:
        what = " and ".join(given) or "none of them"
        raise InvalidInput("", f"The body has {what}. Send one of {', '.join(_KEYS)}.")
    [key] = given
    parameters = _parameters(value)
    found = value[key]
    if key == "inputs" and ("parameters" in value or isinstance(found, str)):
        return AloneQuestion(None, found, parameters)
    if key == "inputs" and isinstance(found, dict | list) and found:
        return InputsQuestion(None, found, parameters)
    if key == "dataframe_split":
        return TableQuestion(None, _split(found), parameters)
    if not isinstance(found, list) or not found:
        what = "an empty list" if found == [] else json_type(found)
        raise InvalidInput(key, f'"{key}" is {what}. Send a list of items.')
    return (InstanceQuestion if key == "instances" else TableQuestion)(None, found, parameters)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    return parameters_field(value, "params") | parameters_field(value)


def _split(table: Any) -> list[Any]:
    """The rows of a data frame as pandas splits it."""
    rows, columns = (table.get("data"), table.get("columns")) if isinstance(table, dict) else (None, None)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise InvalidInput(
            "dataframe_split", '"dataframe_split" has no rows. Send {"columns": [NAME, …], "data": [[…]]}.'
        )
    if columns is None:
        return rows
    if not isinstance(columns, list) or not all(isinstance(name, str | int) for name in columns):
        raise InvalidInput("dataframe_split.columns", f'"columns" is {json_type(columns)}. Send a list of names.')
    for index, row in enumerate(rows):
        if len(row) != len(columns):
            path = f"dataframe_split.data[{index}]"
            raise InvalidInput(path, f"{path} has {len(row)} values, and there are {len(columns)} columns.")
    if not all(isinstance(name, str) for name in columns):
        # A frame without names has numbers.
        return rows
    return [dict(zip(columns, row, strict=True)) for row in rows]
