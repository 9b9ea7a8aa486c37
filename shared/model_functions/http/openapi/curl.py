"""An operation as commands to paste into a shell: one for each of its examples."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from model_functions.http.message import JSON
from model_functions.http.openapi.served import Record

#: Stands for the function's address, which it does not know itself.
URL = "$URL"

#: Characters of a command; what is longer nobody reads.
MAX_LENGTH = 6_000


def commands(method: str, path: str, operation: Record, known: Record) -> Iterator[tuple[str, str]]:
    """Each with what it shows.

    Args:
        known: the document's parameters by name.
    """
    target = _target(path, operation, known)
    content: Record = operation.get("requestBody", {}).get("content", {})
    start = "curl" if method == "get" else f"curl -X {method.upper()}"
    if not content or not operation["requestBody"]["required"]:
        yield "", f'{start} "{target}"'
    for media, facts in content.items():
        for name, example in facts.get("examples", {}).items():
            yield (
                name if media == JSON else f"{name}, as {media}",
                _sending(f'{start} "{target}"', media, example["value"]),
            )
        if "x-base64" in facts:
            kind = f"-H {_quoted(f'Content-Type: {media}')}"
            file = f"printf %s {_quoted(facts['x-base64'])} | base64 -d"
            yield f"a file, as {media}", f'{file} | {start} "{target}" {kind} --data-binary @-'


def is_short(command: str) -> bool:
    return len(command) <= MAX_LENGTH


def _sending(start: str, media: str, value: Any) -> str:
    kind = f"-H {_quoted(f'Content-Type: {media}')}"
    if media == JSON:
        return f"{start} {kind} -d {_quoted(json.dumps(value, ensure_ascii=False))}"
    if isinstance(value, dict):
        return " ".join([start, *(f"--data-urlencode {_quoted(f'{name}={field}')}" for name, field in value.items())])
    return f"{start} {kind} --data-binary {_quoted(value)}"


def _target(path: str, operation: Record, known: Record) -> str:
    query = []
    for given in operation["parameters"]:
        parameter = known[given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        value = _value(parameter)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
        elif parameter["in"] == "query" and (parameter.get("required") or "example" in parameter):
            query += [(parameter["name"], one) for one in (value if isinstance(value, list) else [value])]
    return f"{URL}{path}?{urlencode(query)}" if query else URL + path


def _value(parameter: Record) -> Any:
    schema = parameter["schema"]
    return parameter.get("example", schema.get("enum", [schema.get("default", "")])[0])


def _quoted(text: str) -> str:
    """As one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
