"""What every function answers besides the protocols: ``/predict``, and what is known of it and its models."""

import json
from typing import Any

from model_functions.errors import MethodNotAllowed, NotAcceptable, error_classes
from model_functions.http.errors import refuse
from model_functions.http.message import HTML
from model_functions.http.openapi.section import (
    ASKING,
    BODY,
    JSON_BODY,
    REVISION,
    STORE,
    Section,
    answer,
    events,
    headers,
    json_body,
)
from model_functions.http.openapi.served import Model, Record, Served, spelled
from model_functions.http.prediction import FORM
from model_functions.schemas import array, either, record, string

TAG = "Model Functions"
_ABOUT = (
    "The functions' own interface. One item in, one prediction out; a list in, a list out, in order. "
    "Every failure is told by one record and by the header X-Error-Code."
)
_STREAM = (
    "Where the model streams, and the parameter stream is true or Accept asks for events: each piece of the prediction "
    "as a message, at the end the event answer with the whole, or the event error."
)
_FILE = "One or several, under any name."
_NAMED = "Where the body is a file."
#: Characters of an example that stands in a URL.
_LONGEST_QUERY = 2000


def describe(served: Served) -> Section:
    section = Section(served, TAG, _ABOUT, refuse, error())
    _describe_predict(served, section)
    _describe_warm_up(served, section)
    _describe_the_function(section)
    return section


def _describe_warm_up(served: Served, section: Section) -> None:
    warmed = record({"model_name": string(), "revision": string(), "phases": {"type": "object"}})
    # The gateway warms itself up where no model is named.
    itself = [record({"models": array(string())})] if served.is_gateway else []
    required = [] if served.default or served.is_gateway else ["model_name"]
    names = {"model_name": {"enum": [*served.names, *([] if required else [None])]} if served.names else string()}
    section.add(
        "POST",
        "/warmup",
        "Load a model and predict its sample, so that the first user waits for nothing.",
        answer(either([warmed, *itself]), "Loaded; where the time went, in seconds.", of_a_model=not served.is_gateway),
        [*ASKING, *JSON_BODY],
        body=json_body(record(names, required, additionalProperties=False), _names(served)),
        body_required=bool(required),
        id="warm_up",
    )


def _describe_predict(served: Served, section: Section) -> None:
    section.add(
        "POST",
        "/predict",
        "Predict one item, or each of a list.",
        answers(served),
        [*ASKING, *JSON_BODY, NotAcceptable],
        parameters=_file_parameters(served),
        body=json_body(either([request(model) for model in served.models]), examples(served)) | _files(served),
        id="predict",
    )
    section.add(
        "GET",
        "/predict",
        "The same in a URL, for a browser or a shell.",
        answers(served),
        [*ASKING, *BODY, NotAcceptable, MethodNotAllowed],
        parameters=_query(served),
        description="data may be given several times, for several items. A row's values stand between commas.",
        id="predict_by_query",
    )


def answers(served: Served) -> Record:
    """The prediction, whole or in pieces."""
    streams = any(model.streams for model in served.models)
    return answer(
        either([told(model) for model in served.models]), of_a_model=True, also=events(_STREAM) if streams else None
    )


def _describe_the_function(section: Section) -> None:
    page = {HTML: {"schema": string()}}
    models = array({"type": "object", "required": ["model_name", "family", "revision", "data", "parameters"]})
    alive = {"const": "alive"}
    section.add(
        "GET",
        "/",
        "What is served here; for a browser, as a page.",
        answer(record({"status": alive, "function": string(), "models": models}), "By Accept.", also=page),
        STORE,
        id="front_page",
    )
    ready = record({"status": {"const": "ready"}})
    section.add("GET", "/health", "Whether the process is alive.", answer(record({"status": alive})), [], id="health")
    section.add("GET", "/ready", "Whether the settings work.", answer(ready), STORE, id="ready")
    plain = {"200": _text("The counts since the instance started.", "text/plain; version=0.0.4; charset=utf-8")}
    section.add("GET", "/metrics", "Counts and times in Prometheus' form.", plain, [], id="metrics")
    section.add(
        "GET",
        "/openapi.json",
        "This document.",
        answer({"type": "object", "required": ["openapi"]}),
        STORE,
        id="openapi",
    )
    section.add("GET", "/docs", "This document for people.", {"200": _text("A page.", HTML)}, STORE, id="docs")


def _text(description: str, media: str) -> Record:
    return {"description": description, "headers": headers(), "content": {media: {"schema": string()}}}


def request(model: Model) -> Record:
    name, required = model.named()
    data = model.schema("data")
    return {
        "title": model.name,
        "description": model.record["description"],
        **record(
            name | {"data": data, "inputs": data, "parameters": model.schema("parameters")},
            required,
            oneOf=[{"required": ["data"]}, {"required": ["inputs"]}],
            additionalProperties=False,
        ),
    }


def told(model: Model) -> Record:
    one = model.schema("prediction")
    body = {"anyOf": [one, array(one)]}
    return record({"model_name": {"const": model.name}, "revision": string(pattern=REVISION), "body": body})


def examples(served: Served) -> dict[str, Any]:
    return {model.name: {"model_name": model.name, "data": model.examples[0]} for model in served.models}


def _names(served: Served) -> dict[str, Any]:
    return {model.name: {"model_name": model.name} for model in served.models}


def _files(served: Served) -> Record:
    """What else the body may be: the types of files that models read, and a form with them."""
    readers: dict[str, list[str]] = {}
    for model in served.models:
        for media in model.media:
            readers.setdefault(media, []).append(model.name)
    file = string(format="binary")
    content: Record = {
        media: {"schema": file | {"description": f"For {', '.join(names)}."}} for media, names in readers.items()
    }
    forms = [_form(model) for model in served.models if model.media]
    return content | ({FORM: {"schema": either(forms)}} if forms else {})


def _form(model: Model) -> Record:
    file = string(format="binary")
    name, required = {"model_name": {"const": model.name}}, ["model_name"] if model.needs_name else []
    fields = name | {
        "file": {"description": _FILE, "anyOf": [file, array(file)]},
        "parameters": {"description": "As JSON; or each as a field of its own.", **model.schema("parameters")},
    }
    return {"title": model.name, **record(fields | _spelled(model), ["file", *required])}


def _file_parameters(served: Served) -> list[Record]:
    """What the URL says where the body is a file."""
    found: Record = {}
    for model in served.models:
        if model.media:
            found |= {"model_name": {"enum": served.names}} | _spelled(model)
    # Beside JSON they mean nothing, so that nothing is refused there.
    told = {name: {"description": schema.get("description", "The model.")} for name, schema in found.items()}
    return [{"name": name, "in": "query", "schema": one, "description": _NAMED} for name, one in told.items()]


def _spelled(model: Model) -> Record:
    return {name: spelled(schema) for name, schema in model.record["parameters"].items()}


def _query(served: Served) -> list[Record]:
    names = {"enum": served.names} if served.names else string()
    name = {"name": "model_name", "in": "query", "schema": names, "required": served.default is None}
    data = {"name": "data", "in": "query", "required": True, "schema": array(string(), minItems=1)}
    found: Record = {}
    for model in served.models:
        found |= _spelled(model)
    more = [{"name": name, "in": "query", "schema": schema} for name, schema in found.items()]
    return [name, data | _query_example(served), *more]


def _query_example(served: Served) -> Record:
    """A text, or else a row or a tensor as JSON."""
    for model in served.models:
        for item in model.items:
            text = item if isinstance(item, str) else json.dumps(item)
            if len(text) < _LONGEST_QUERY and (isinstance(item, str) or model.kind in ("row", "tensors")):
                return {"example": [text]}
    return {}


def error() -> Record:
    codes = sorted({error.code for error in error_classes()})
    detail = record({"path": string(), "message": string()}, ["message"])
    error = {
        "code": {"enum": codes},
        "message": string(description="What is wrong, with the value, and the way out."),
        "status": {"type": "integer"},
        "request_id": string(),
        "details": array(detail),
    }
    method = {"405": {"const": "Method Not Allowed"}}
    return record({"error": record(error, ["code", "message", "status", "request_id"])} | method, ["error"])
