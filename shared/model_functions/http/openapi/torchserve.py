"""TorchServe's REST API, described."""

from model_functions.errors import NotAcceptable
from model_functions.http.openapi.bodies import data_schema, files, query_parameters
from model_functions.http.openapi.section import (
    ASKING,
    JSON_BODY,
    KNOWING,
    STORE,
    Section,
    answer,
    json_body,
    operation_id,
)
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.protocols.torchserve import PAGE, TorchServeQuestion, refuse
from model_functions.schemas import array, record, string

_ABOUT = (
    "For clients of TorchServe: the body is the data, as JSON, a text, a file or a form with the field data; the "
    "answer is the prediction alone. Of its management, what only reads."
)
_LINES = "Where the model streams, and stream is true: a piece as JSON in each line."


def describe(served: Served) -> Section:
    error = record({"code": {"type": "integer"}, "type": string(), "message": string()})
    section = Section(served, "TorchServe", _ABOUT, refuse, error)
    healthy = record({"status": {"const": "Healthy"}})
    section.tell("/ping", "Whether the process is alive.", healthy, [], id="ping")
    for model in served.models:
        for which, word in {"": "", "/{version}": "_version"}.items():
            _describe_asking(section, model, f"/predictions/{{model}}{which}", word)
    _describe_management(section)
    return section


def _describe_asking(section: Section, model: Model, route: str, word: str) -> None:
    one = model.schema("prediction")
    lines = {TorchServeQuestion.stream_type: {"schema": string(description=_LINES)}} if model.streams else None
    # Its own documentation sends files by curl -T, which is a PUT.
    for method in ("POST", "PUT"):
        section.add(
            *(method, route, "A model's prediction."),
            answer({"anyOf": [one, array(one)]}, of_a_model=True, also=lines),
            [*ASKING, *JSON_BODY, NotAcceptable],
            place={"model": model.name, "version": model.versions},
            parameters=query_parameters(model),
            body=json_body(data_schema(model), {"data": model.examples[0]}) | files(model),
            id=operation_id(f"torchserve_{'predict' if method == 'POST' else 'put'}", word, model.name),
        )


def _describe_management(section: Section) -> None:
    document = record({"openapi": {"const": "3.0.1"}, "paths": {"type": "object"}})
    summary = "TorchServe's own description, in OpenAPI 3.0."
    section.tell("/", summary, document, [], method="OPTIONS", id="torchserve_api")
    models = [*STORE, KNOWING[0]]
    section.tell(
        *("/predictions/{model}", "A model's description, in OpenAPI 3.0.", document, models),
        method="OPTIONS",
        each=True,
        id="torchserve_model_api",
    )
    listed = record(
        {"nextPageToken": string(), "models": array(record({"modelName": string(), "modelUrl": string()}))}, ["models"]
    )
    section.tell(
        *("/models", "A page of the models.", listed, STORE),
        parameters=[_number("limit", PAGE, 1), _number("next_page_token", 0, 0)],
        id="torchserve_models",
    )
    one = {"modelName": string(), "modelVersion": string(), "modelUrl": string(), "workers": array({"type": "object"})}
    for which, word in {"": "", "/all": "_all", "/{version}": "_version"}.items():
        section.tell(
            *(f"/models/{{model}}{which}", "A model's state.", array(record(one)), KNOWING),
            who=["X-Model-Revision"],
            each=not which,
            id=f"torchserve_model{word}",
        )


def _number(name: str, default: int, least: int) -> Record:
    schema = {"type": "integer", "minimum": least, "maximum": 999_999_999, "default": default}
    return {"name": name, "in": "query", "schema": schema}
