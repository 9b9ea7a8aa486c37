"""The document as HTML: an index, the operations by protocol, and the schemas that they speak of."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from model_functions.http.openapi.curl import URL, commands, is_short
from model_functions.http.openapi.served import Record

#: What of a schema is said in a line behind its name.
_FACTS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "as {}",
    "format": "{}",
    "contentEncoding": "in {}",
    "default": "default {}",
}
#: Levels of a schema that are shown.
_DEPTH = 8


class Operation:
    """What a route answers to a method: one operation of the document for each model, or for all.

    Args:
        found: (path, operation) of each.
    """

    def __init__(self, method: str, route: str, found: list[tuple[str, Record]]) -> None:
        self.method = method
        self.route = route
        self.found = found

    @property
    def anchor(self) -> str:
        return str(self.found[0][1]["operationId"])

    @property
    def facts(self) -> Record:
        return self.found[0][1]

    @property
    def heading(self) -> str:
        return f"<b>{self.method.upper()}</b> {escape(self.route)}"


def content(document: Record) -> str:
    """All of it."""
    by_tag = {tag["name"]: list(_operations(document, tag["name"])) for tag in document["tags"]}
    sections = (_section(tag, by_tag[tag["name"]], document) for tag in document["tags"])
    return f"{_index(by_tag)}{''.join(sections)}{_schemas(document)}"


def _operations(document: Record, tag: str) -> Iterator[Operation]:
    found: dict[tuple[str, str], list[tuple[str, Record]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"]:
                found.setdefault((method, operation["x-route"]), []).append((path, operation))
    for (method, route), several in found.items():
        yield Operation(method, route, several)


def _index(by_tag: Mapping[str, list[Operation]]) -> str:
    parts = []
    for tag, operations in by_tag.items():
        links = "".join(
            f'<li><a href="#{escape(one.anchor)}">{one.heading}</a> <small>{escape(one.facts["summary"])}</small></li>'
            for one in operations
        )
        parts.append(f"<details><summary>{escape(tag)} ({len(operations)})</summary><ul>{links}</ul></details>")
    return f'<nav aria-label="Operations">{"".join(parts)}</nav>'


def _section(tag: Record, operations: Iterable[Operation], document: Record) -> str:
    shown = "".join(_operation(one, document) for one in operations)
    return f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>{shown}"


def _operation(operation: Operation, document: Record) -> str:
    facts = operation.facts
    about = " ".join(filter(None, (facts["summary"], facts.get("description"))))
    return (
        f'<section id="{escape(operation.anchor)}"><h3>{operation.heading}</h3><p>{escape(about)}</p>'
        f"{_commands(operation, document)}{_parameters(facts, document)}{_bodies(operation)}"
        f"{_answers(operation, document)}</section>"
    )


def _commands(operation: Operation, document: Record) -> str:
    shown = []
    for path, facts in operation.found:
        for name, command in commands(operation.method, path, facts, document["components"]["parameters"]):
            label = f"<figcaption>{escape(name)}</figcaption>" if name else ""
            # The page's script writes the function's address into it.
            text = escape(command).replace(escape(URL), f"<b>{URL}</b>", 1)
            long = "The example is too long for a page; GET /openapi.json has it."
            shown.append(f"<figure>{label}<pre>{text}</pre></figure>" if is_short(command) else f"<p>{long}</p>")
    first, rest = shown[:1], shown[1:]
    more = f"<details><summary>{len(rest)} more</summary>{''.join(rest)}</details>" if rest else ""
    return "".join(first) + more


def _parameters(facts: Record, document: Record) -> str:
    rows = []
    for given in facts["parameters"]:
        parameter = _resolved(given, document)
        required = " <em>required</em>" if parameter.get("required") else ""
        name = f"<code>{escape(parameter['name'])}</code> <small>{parameter['in']}</small>{required}"
        told = parameter.get("description") or parameter["schema"].get("description") or ""
        rows.append(f"<dt>{name}</dt><dd>{escape(told)} {_line(parameter['schema'])}</dd>")
    return _folded("Parameters", f"<dl>{''.join(rows)}</dl>") if rows else ""


def _bodies(operation: Operation) -> str:
    shown = []
    for _, facts in operation.found:
        for media, one in facts.get("requestBody", {}).get("content", {}).items():
            shown.append(f"<p><code>{escape(media)}</code></p>{schema_html(one['schema'])}")
    return _folded("Request", "".join(shown)) if shown else ""


def _answers(operation: Operation, document: Record) -> str:
    good, bad = [], []
    for status, given in operation.facts["responses"].items():
        response = _resolved(given, document)
        media = ", ".join(f"<code>{escape(name)}</code>" for name in response.get("content", {}))
        if status[0] in "45":
            bad.append(f"<dt>{status}</dt><dd>{escape(response['description'])}</dd>")
            continue
        shown = "".join(
            schema_html(one["schema"])
            for _, facts in operation.found
            for one in _resolved(facts["responses"][status], document).get("content", {}).values()
        )
        names = ", ".join(f"<code>{escape(name)}</code>" for name in response.get("headers", {}))
        told = f"<p>Headers: {names}</p>" if names else ""
        good.append(f"<p>{status} {media} {escape(response['description'])}</p>{shown}{told}")
    return _folded("Answer", "".join(good)) + _folded("Errors, by status", f"<dl>{''.join(bad)}</dl>")


def _schemas(document: Record) -> str:
    shown = "".join(
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{schema_html(schema)}</section>'
        for name, schema in document["components"]["schemas"].items()
    )
    return f"<h2>Schemas</h2>{shown}"


def schema_html(schema: Record, depth: int = 0) -> str:
    """A schema: what it is in a line, and below it what it is made of."""
    parts = [f"<p>{_line(schema)} {escape(schema.get('description', ''))}</p>"]
    if depth < _DEPTH:
        parts += [_properties(schema, depth), _alternatives(schema, depth)]
        if isinstance(schema.get("items"), dict):
            parts.append(_listed([("each", schema["items"])], depth))
        numbered = enumerate(schema.get("prefixItems", ()))
        parts.append(_listed([(str(index), one) for index, one in numbered], depth))
    return "".join(parts)


def _properties(schema: Record, depth: int) -> str:
    required = schema.get("required", ())
    rows = [
        f"<dt><code>{escape(name)}</code>{' <em>required</em>' if name in required else ''}</dt>"
        f"<dd>{schema_html(one, depth + 1)}</dd>"
        for name, one in schema.get("properties", {}).items()
    ]
    if isinstance(schema.get("additionalProperties"), dict):
        rows.append(f"<dt>any name</dt><dd>{schema_html(schema['additionalProperties'], depth + 1)}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def _alternatives(schema: Record, depth: int) -> str:
    shown = ""
    for word, told in (("anyOf", "Either"), ("oneOf", "One of"), ("allOf", "All of")):
        given = [one for one in schema.get(word, ()) if set(one) != {"required"}]
        shown += _listed([(told if index == 0 else "or", one) for index, one in enumerate(given)], depth)
        fields = [" and ".join(one["required"]) for one in schema.get(word, ()) if set(one) == {"required"}]
        if fields:
            shown += f"<p>{told} {escape(' or '.join(fields))}.</p>"
    return shown


def _listed(named: list[tuple[str, Any]], depth: int) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{schema_html(one, depth + 1)}</dd>" for name, one in named)
    return f"<dl>{rows}</dl>" if rows else ""


def _line(schema: Record) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    kind = schema.get("type", "")
    words = [" or ".join(kind) if isinstance(kind, list) else kind] if kind else []
    if "const" in schema:
        words = [_json(schema["const"])]
    if "enum" in schema:
        words = [", ".join(_json(value) for value in schema["enum"][:20])]
    if "title" in schema:
        words.insert(0, f"{schema['title']}:")
    words += [text.format(_json(schema[fact])) for fact, text in _FACTS.items() if fact in schema]
    return f"<code>{escape(' '.join(words) or 'anything')}</code>" if words or not _is_composed(schema) else ""


def _is_composed(schema: Record) -> bool:
    return bool({"anyOf", "oneOf", "allOf"} & set(schema))


def _json(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _resolved(given: Record, document: Record) -> Record:
    if "$ref" not in given:
        return given
    _, _, kind, name = given["$ref"].split("/")
    found: Record = document["components"][kind][name]
    return found


def _folded(title: str, shown: str) -> str:
    return f"<details><summary>{title}</summary>{shown}</details>"
