"""OpenAI's API: chats, completions and embeddings, described."""

from collections.abc import Callable
from typing import Any, NamedTuple

from model_functions.http.openapi.section import ASKING, JSON_BODY, Section, answer, events, json_body, operation_id
from model_functions.http.openapi.served import Model, Record, Served, parameter
from model_functions.http.protocols.openai import refuse
from model_functions.http.protocols.openai_fields import NAMELESS, RENAMED, SINGLE_VALUED, WITHOUT_EFFECT
from model_functions.schemas import COUNT, NUMBER, array, either, nullable, record, string

_ABOUT = (
    "For clients of OpenAI, by base_url: chats, completions, embeddings. Fields that could change nothing here are let "
    "pass, those that ask for what no model here does are refused; a field of another name is a parameter of the model."
)
_STREAM = "Where stream is true: chunks as messages, at the end data: [DONE]; a failure in the middle as an error."
_FLAG = {"type": "boolean"}
_WHOLE = {"type": "integer"}
_TEXTS = array(string(minLength=1), minItems=1)
_USAGE = record({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
_REASON = {"enum": ["stop", "length"]}

#: What all that writes has beside the model's own parameters.
_WRITING: Record = {
    "n": {"type": "integer", "minimum": 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "seed": _WHOLE,
    "stream": _FLAG,
    "stream_options": {"type": "object", "properties": {"include_usage": nullable(_FLAG)}},
    "stop": {"anyOf": [string(), array(string())]},
    "frequency_penalty": NUMBER,
    "presence_penalty": NUMBER,
}


def describe(served: Served) -> Section:
    told = {"message": string(), "type": string(), "param": nullable(string()), "code": string()}
    section = Section(served, "OpenAI", _ABOUT, refuse, record({"error": record(told)}))
    chatting = [model for model in served.speaking("openai_chat") if model.chats]
    _describe(section, _Kind("chat/completions", "What follows a chat.", "messages", _chat, _chatted()), chatting)
    prompted = _Kind("completions", "What follows a text.", "prompt", _completion, _completed())
    _describe(section, prompted, served.speaking("openai_completions"))
    embedding = _Kind("embeddings", "The vectors of texts.", "input", _embedding, _embedded())
    _describe(section, embedding, served.speaking("openai_embeddings"))
    return section


class _Kind(NamedTuple):
    """What may be asked.

    Args:
        field: the one that holds the data.
        fields: of a request to a model.
        answer: its schema.
    """

    path: str
    summary: str
    field: str
    fields: Callable[[Model], Record]
    answer: Record


def _describe(section: Section, kind: _Kind, models: list[Model]) -> None:
    if models:
        _describe_at(section, kind, "", models)
    for model in models:
        _describe_at(section, kind, "/models/{model}", [model])


def _describe_at(section: Section, kind: _Kind, base: str, models: list[Model]) -> None:
    """Args:
    models: those that may be asked there; where the path names one, that alone.
    """
    place = {"model": models[0].name} if base else {}
    examples = {model.name: {"model": model.name, kind.field: _example(model, kind.field)} for model in models}
    schema = either([_named(kind.fields(model), kind.field, model, in_path=bool(base)) for model in models])
    also = None if kind.field == "input" else events(_STREAM)
    section.add(
        *("POST", f"{base}/v1/{kind.path}", kind.summary, answer(kind.answer, of_a_model=True, also=also)),
        [*ASKING, *JSON_BODY],
        place=place,
        body=json_body(schema, examples),
        id=operation_id("openai", kind.path, *place.values()),
    )


def _named(fields: Record, needed: str, model: Model, *, in_path: bool) -> Record:
    """The request of a model: its fields, any of which may be null, which is as if it were not there."""
    required = [needed, *([] if in_path or not model.needs_name else ["model"])]
    free = {name: schema if name == needed else nullable(schema) for name, schema in fields.items()}
    names: Record = {"const": model.name} if "model" in required else {"enum": [model.name, *NAMELESS, None]}
    if in_path:
        names = {"type": ["string", "null"]}
    return {"title": model.name, **record({"model": names} | free, required, additionalProperties=False)}


def _fields(model: Model, own: Record) -> Record:
    given = {name: parameter(schema) for name, schema in model.record["parameters"].items() if name not in RENAMED}
    single: Record = {name: {"enum": list(values)} for name, (values, _) in SINGLE_VALUED.items() if values}
    # Theirs may be 0, which is the likeliest token.
    heat = {"temperature": {**model.record["parameters"].get("temperature", NUMBER), "minimum": 0}}
    return given | _silent() | single | heat | own


def _silent() -> Record:
    return {name: {} for name in sorted(WITHOUT_EFFECT)}


def _chat(model: Model) -> Record:
    part = record({"type": {"const": "text"}, "text": string()})
    roles = {"enum": ["system", "developer", "user", "assistant"]}
    message = record({"role": roles, "content": {"anyOf": [string(), array(part)]}})
    own = {"messages": array(message, minItems=1), "max_completion_tokens": {"type": "integer", "minimum": 1}}
    likely = {"logprobs": _FLAG, "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20}}
    return _fields(model, own | _WRITING | likely)


def _completion(model: Model) -> Record:
    tokens = array(COUNT, minItems=1)
    prompt = {"anyOf": [string(minLength=1), _TEXTS, tokens, array(tokens, minItems=1)]}
    return _fields(model, {"prompt": prompt, "echo": _FLAG, "best_of": _WHOLE, "logprobs": COUNT} | _WRITING)


def _embedding(model: Model) -> Record:
    text = string(minLength=1)
    form = {"enum": ["float", "base64"]}
    own = {"input": {"anyOf": [text, _TEXTS]}, "encoding_format": form, "dimensions": _WHOLE}
    given = {name: parameter(schema) for name, schema in model.record["parameters"].items()}
    return given | _silent() | own


def _chatted() -> Record:
    message = record({"role": {"const": "assistant"}, "content": string(), "refusal": {"type": "null"}})
    choice = record({"index": COUNT, "message": message, "logprobs": {}, "finish_reason": _REASON})
    return _completion_of("chat.completion", choice)


def _completed() -> Record:
    choice = record({"index": COUNT, "text": string(), "logprobs": {}, "finish_reason": _REASON})
    return _completion_of("text_completion", choice)


def _completion_of(kind: str, choice: Record) -> Record:
    head = {"id": string(), "object": {"const": kind}, "created": COUNT, "model": string()}
    return record(head | {"system_fingerprint": string(), "choices": array(choice, minItems=1), "usage": _USAGE})


def _embedded() -> Record:
    one = {"object": {"const": "embedding"}, "index": COUNT, "embedding": {"anyOf": [array(NUMBER), string()]}}
    usage = record({"prompt_tokens": COUNT, "total_tokens": COUNT})
    told = {"object": {"const": "list"}, "data": array(record(one), minItems=1), "model": string(), "usage": usage}
    return record(told)


def _example(model: Model, field: str) -> Any:
    if field == "messages":
        return next((item for item in model.items if isinstance(item, list)), [{"role": "user", "content": "Hello"}])
    return next((item for item in model.items if isinstance(item, str)), "Hello")
