"""The fields of OpenAI's requests: which there are, and how single ones are read."""

import json
from typing import Any

from model_functions.errors import InvalidInput
from model_functions.http.body import read_json
from model_functions.http.message import Request
from model_functions.http.prediction import checked_model_name
from model_functions.inputs import json_type

#: What clients call a model that they know by its address alone.
NAMELESS = ("", "dummy", "tgi")

#: Fields that say nothing to a model here.
WITHOUT_EFFECT = frozenset(
    {"metadata", "moderation", "parallel_tool_calls", "prediction", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "reasoning_effort", "safety_identifier", "service_tier", "store"}
    | {"tool_prompt", "user", "verbosity"}
)

#: Fields that only these values may have, and why.
SINGLE_VALUED: dict[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "models here answer in text"),
    "function_call": (("auto", "none"), "models here call no functions"),
    "functions": (([],), "models here call no functions"),
    "logit_bias": (({},), "the probabilities of single tokens cannot be changed here"),
    "modalities": ((["text"],), "models here answer in text"),
    "response_format": (({"type": "text"},), "models here answer in plain text, and nothing holds them to a schema"),
    "suffix": (("",), "models here write what follows, and not what stands between"),
    "tool_choice": (("auto", "none"), "models here call no tools"),
    "tools": (([],), "models here call no tools"),
    "web_search_options": ((), "models here search nothing"),
}

#: Parameters of a model that have names of their own in this API.
RENAMED = {
    "max_new_tokens": "max_tokens",
    "model_name": "model",
    "num_return_sequences": "n",
    "return_full_text": "echo",
}


def fields_of(request: Request, limit: int) -> dict[str, Any]:
    """The body's fields that have a value."""
    body = read_json(request, limit)
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"model": NAME, …}}.')
    return {name: value for name, value in body.items() if value is not None}


def model_name_of(fields: dict[str, Any]) -> str | None:
    name = fields.pop("model", None)
    if name is not None and not isinstance(name, str):
        raise InvalidInput("model", f'"model" is {json_type(name)}. Send the model\'s name as a string.')
    return None if name in NAMELESS else checked_model_name(name)


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(name, f'"{name}" is {json_type(value)}. Send true or false.')
    return value


def whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(name, f'"{name}" is {shown(value)}. Send an integer.')
    return value


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
