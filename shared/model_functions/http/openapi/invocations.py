"""MLflow's scoring server and SageMaker's containers, described."""

from typing import Any

from model_functions.errors import NotAcceptable
from model_functions.http.openapi.bodies import csv_of, data_schema, files, table_of
from model_functions.http.openapi.section import ASKING, JSON_BODY, Section, answer, json_body, operation_id
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.protocols.invocations import CSV, refuse
from model_functions.http.protocols.tables import NPY
from model_functions.schemas import array, nullable, record, string

_ABOUT = (
    "For MLflow's clients and SageMaker's: data frames, instances, inputs, or the data itself, as JSON, CSV, a text, "
    "numpy's own form or a file. MLflow's bodies are answered with predictions, the others with the prediction alone."
)

_QUERY = "Where the body is a text or a file, the model's parameters stand in the query."


def describe(served: Served) -> Section:
    error = record({"error_code": string(), "message": string()})
    section = Section(served, "MLflow and SageMaker", _ABOUT, refuse, error)
    section.tell("/version", "The version of this API.", {"const": 1}, [], id="mlflow_version")
    for model in served.models:
        _describe_asking(section, model, "/models/{model}/invoke", {"model": model.name}, "invoke")
    if served.default is not None:
        _describe_asking(section, served.default, "/invocations", {}, "")
    return section


def _describe_asking(section: Section, model: Model, route: str, place: dict[str, str], word: str) -> None:
    one = model.schema("prediction")
    told = {"anyOf": [record({"predictions": array({})}), one, array(one)]}
    section.add(
        *("POST", route, "A model's predictions."),
        answer(told, of_a_model=True, also={NPY: {"schema": string(format="binary")}}),
        [*ASKING, *JSON_BODY, NotAcceptable],
        place=place,
        parameters=[] if place else [_name(section.served)],
        description=_QUERY,
        body=json_body(_request(model), _examples(model)) | _tables(model) | files(model),
        id=operation_id(word or "invocations", model.name if word else ""),
    )


def _name(served: Served) -> Record:
    return {"name": "model_name", "in": "query", "required": served.default is None, "schema": {"enum": served.names}}


def _request(model: Model) -> Record:
    rows = array({}, minItems=1)
    split = record({"columns": array({}), "data": array({"type": "array"}, minItems=1), "index": {}}, ["data"])
    parameters = nullable(model.schema("parameters"))
    fields = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": array({"anyOf": [model.schema("item"), {"type": "object"}]}, minItems=1),
        "inputs": {"description": "Columns by name, a list of items, or one; of tensors, a tensor by name."},
        "params": parameters,
        "parameters": parameters,
    }
    given = [{"required": [name]} for name in ("dataframe_split", "dataframe_records", "instances", "inputs")]
    return {"title": model.name, "anyOf": [record(fields, [], oneOf=given), *data_schema(model)["anyOf"][1:]]}


def _examples(model: Model) -> dict[str, Any]:
    item = model.items[0]
    row = table_of(model, item)
    found: dict[str, Any] = {"instances": {"instances": [item]}}
    if row is not None:
        split = {"columns": list(row), "data": [list(row.values())]}
        found |= {"dataframe_split": {"dataframe_split": split}, "dataframe_records": {"dataframe_records": [row]}}
    return found


def _tables(model: Model) -> Record:
    row = table_of(model, model.items[0])
    if row is None or model.media:
        return {}
    rows = {"description": "Rows of values, the columns' names before them or not."}
    return {CSV: {"schema": rows, "examples": {"a table": {"value": csv_of(row)}}}}
