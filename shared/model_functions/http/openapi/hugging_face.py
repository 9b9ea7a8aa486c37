"""Hugging Face's inference API, described."""

from typing import Any

from model_functions.http.openapi.section import (
    ASKING,
    JSON_BODY,
    KNOWING,
    LOADING,
    OF_A_MODEL,
    Section,
    answer,
    events,
    json_body,
    operation_id,
)
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.protocols.hugging_face import refuse
from model_functions.schemas import array, either, nullable, record, scored, string

_ABOUT = (
    "For huggingface_hub's InferenceClient, with the function's own address, or that of one of its models, as the "
    "model: each task as its client asks it. A file may be the body where the model reads files."
)
_STREAM = "Where stream is true: an event for each token, with the whole text in the last."


def describe(served: Served) -> Section:
    section = Section(served, "Hugging Face", _ABOUT, refuse, record({"error": string(), "error_type": string()}))
    _describe_asking(section, "/", served.models, {}, "ask")
    for model in served.models:
        _describe_asking(section, "/models/{model}", [model], {"model": model.name}, operation_id("ask", model.name))
    info = record({"model_id": string(), "model_sha": string(), "model_pipeline_tag": string()})
    if served.default is not None:
        section.tell("/info", "What the default model is.", info, LOADING, who=OF_A_MODEL, id="info")
    section.tell("/models/{model}/info", "What a model is.", info, LOADING, who=OF_A_MODEL, id="model_info")
    well = record({"status": {"const": "ok"}, "model_id": string()})
    section.tell("/models/{model}/health", "Whether a model is there.", well, KNOWING, id="model_health")
    return section


def _describe_asking(section: Section, route: str, models: list[Model], place: dict[str, str], name: str) -> None:
    examples: dict[str, Any] = {
        model.name: ({} if place or not model.needs_name else {"model": model.name}) | {"inputs": model.items[0]}
        for model in models
    }
    body = json_body(either([_request(model, in_path=bool(place)) for model in models]), examples)
    media = sorted({kind for model in models for kind in model.media}) if place or not section.served.is_gateway else []
    files = {kind: {"schema": string(format="binary")} for kind in media}
    streams = events(_STREAM) if any(model.streams for model in models) else None
    section.add(
        *("POST", route, "What the model's task says to the inputs."),
        answer(either([_told(model) for model in models]), of_a_model=True, also=streams),
        [*ASKING, *JSON_BODY],
        place=place,
        body=body | files,
        id=name,
    )


def _request(model: Model, *, in_path: bool) -> Record:
    fields: Record = {
        "inputs": model.schema("data"),
        "parameters": nullable({"type": "object", "description": "The model's, in Hugging Face's words."}),
        "options": {},
    }
    required = ["inputs"]
    if not in_path:
        fields["model"] = {"const": model.name} if model.needs_name else {"enum": [model.name, None]}
        required += ["model"] if model.needs_name else []
    if model.streams:
        fields["stream"] = nullable({"type": "boolean"})
    if model.family == "tabular":
        fields["table"] = nullable({"type": "object", "description": "A list of values for each column."})
        return {"title": model.name, **record(fields, [name for name in required if name != "inputs"])}
    if model.family == "feature_extraction":
        # Its parameters stand beside the inputs.
        return {"title": model.name, **record(fields, required)}
    return {"title": model.name, **record(fields, required)}


def _told(model: Model) -> Record:
    one = model.schema("prediction")
    listed = {
        "text_classification": array({"anyOf": [scored(), scored()["items"]]}),
        "translation": array(_texts("translation_text")),
        "summarization": array(_texts("summary_text")),
        "text_generation": array(_texts("generated_text")),
        "tabular": {"type": "array"},
        "feature_extraction": {"type": "array"},
    }
    return {"title": model.name, **listed.get(model.family, {"anyOf": [one, array(one)]})}


def _texts(key: str) -> Record:
    one = record({key: string()})
    return {"anyOf": [one, array(one)]}
