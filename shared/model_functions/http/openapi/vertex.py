"""Vertex AI's prediction API and its containers' routes, described."""

from typing import Any

from model_functions.http.openapi.section import (
    ASKING,
    JSON_BODY,
    KNOWING,
    Section,
    answer,
    events,
    json_body,
    operation_id,
)
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.protocols.vertex import refuse
from model_functions.schemas import array, nullable, record, string

_ABOUT = (
    "For Vertex AI's clients: an endpoint is a model, in whatever project and location. As a custom container the "
    "function answers at AIP_PREDICT_ROUTE and AIP_HEALTH_ROUTE, too."
)
_ENDPOINT = "/v1/projects/{project}/locations/{location}/endpoints/{model}"
_STREAM = "Where the model streams: each piece as a message, at the end the event answer."
#: Whatever a caller calls them.
_ANYWHERE: dict[str, list[str]] = {"project": [], "location": []}


def describe(served: Served) -> Section:
    error = {"code": {"type": "integer"}, "message": string(), "status": string(), "details": array({"type": "object"})}
    section = Section(served, "Vertex AI", _ABOUT, refuse, record({"error": record(error)}))
    deployed = record({"id": string(), "model": string(), "modelVersionId": string(), "displayName": string()})
    told = record({"name": string(), "displayName": string(), "deployedModels": array(deployed)})
    section.tell(_ENDPOINT, "A model as an endpoint.", told, KNOWING, place=_ANYWHERE, id="vertex_endpoint")
    for model in served.models:
        _describe_endpoint(section, model)
    _describe_container(section)
    return section


def _describe_endpoint(section: Section, model: Model) -> None:
    plain = {"predictions": array(model.schema("prediction"))}
    facts = {"deployedModelId": string(), "model": string(), "modelVersionId": string(), "modelDisplayName": string()}
    each = events(_STREAM) if model.streams else None
    verbs: list[tuple[str, str, Record, Any]] = [
        ("predict", "Predict each instance.", record(plain | facts), None),
        ("rawPredict", "The same, answered as the container does.", record(plain), None),
        ("streamRawPredict", "The same, piece by piece where the model streams.", record(plain), each),
    ]
    for verb, summary, told, also in verbs:
        section.ask(
            *(f"{_ENDPOINT}:{verb}", summary, told, model, _body(model, raw=verb != "predict")),
            also=also,
            place=_ANYWHERE,
            id=f"vertex_{verb}",
        )


def _describe_container(section: Section) -> None:
    served = section.served
    if served.health_route is not None:
        section.tell(served.health_route, "Whether the process is alive.", {"type": "object"}, [], id="vertex_health")
    if served.predict_route is not None and served.default is not None:
        told = record({"predictions": array(served.default.schema("prediction"))})
        section.add(
            *("POST", served.predict_route, "What Vertex AI asks a container."),
            answer(told, of_a_model=True),
            [*ASKING, *JSON_BODY],
            body=_body(served.default, raw=False),
            id=operation_id("vertex_container"),
        )


def _body(model: Model, *, raw: bool) -> Record:
    instance = {"anyOf": [model.schema("item"), {"type": "object"}]}
    fields = {"instances": array(instance, minItems=1), "parameters": nullable(model.schema("parameters"))}
    asked = {"title": model.name, **record(fields, ["instances"])}
    wrapped = record({"httpBody": record({"data": string(contentEncoding="base64")})}, additionalProperties=False)
    return json_body({"anyOf": [asked, wrapped]} if raw else asked, {"instances": {"instances": [model.items[0]]}})
