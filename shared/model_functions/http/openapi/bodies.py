"""Bodies that are the data itself, as several protocols take them: JSON, texts, files, forms, tables."""

import csv
import io
from typing import Any

from model_functions.http.openapi.served import Model, Record, spelled
from model_functions.http.prediction import FORM
from model_functions.http.protocols.bodies import FIELDS
from model_functions.schemas import array, nullable, record, string

TEXT = "text/plain"


def data_schema(model: Model) -> Record:
    """The data alone, or in a field, with its parameters beside it."""
    given = [{"required": [field]} for field in FIELDS]
    fields = {field: model.schema("data") for field in FIELDS} | {"parameters": nullable(model.schema("parameters"))}
    named = record(fields, [], oneOf=given, additionalProperties=False)
    return {"title": model.name, "anyOf": [named, model.schema("data")]}


def files(model: Model) -> Record:
    """Contents of bodies that are no JSON: files where the model reads them, else texts, and forms of either."""
    file = string(format="binary")
    content: Record = {media: {"schema": file} for media in model.media}
    item = model.items[0]
    if model.media:
        # An example's value would be the file itself; here it is in base64.
        content["application/octet-stream"]["x-base64"] = item
        return content | {FORM: {"schema": record({"data": {"anyOf": [file, array(file)]}})}}
    text: Record = {"schema": string(minLength=1)}
    if isinstance(item, str):
        text["examples"] = {"text": {"value": item}}
    return {TEXT: text, FORM: {"schema": record({"data": string(minLength=1)})}}


def query_parameters(model: Model, *, named: bool = False) -> list[Record]:
    """The model's parameters, and its name, where the body is the data."""
    names = {"model_name": {"const": model.name}} if named else {}
    schemas = names | {name: spelled(schema) for name, schema in model.record["parameters"].items()}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]


def table_of(model: Model, item: Any) -> dict[str, Any] | None:
    """The item as a row by its columns' names; None where it is none."""
    names = [spec["name"] for spec in model.inputs]
    if model.kind == "row":
        return item if isinstance(item, dict) else dict(zip(names, item, strict=False))
    return {names[0]: item} if isinstance(item, str) and len(names) == 1 else None


def csv_of(row: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(row)
    writer.writerow(["" if value is None else value for value in row.values()])
    return text.getvalue()
