"""JSON Schema in short."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def string(**facts: Any) -> Schema:
    return {"type": "string", **facts}


def array(items: Mapping[str, Any], **facts: Any) -> Schema:
    return {"type": "array", "items": dict(items), **facts}


def record(properties: Mapping[str, Any], required: Sequence[str] | None = None, **facts: Any) -> Schema:
    """An object's schema.

    Args:
        required: None: all properties.
    """
    needed = list(properties if required is None else required)
    return {"type": "object", "properties": dict(properties), **({"required": needed} if needed else {}), **facts}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def either(schemas: Sequence[Schema]) -> Schema:
    """Of what has one of the schemas; of any object where there are none."""
    if len(schemas) == 1:
        return schemas[0]
    return {"anyOf": list(schemas)} if schemas else {"type": "object"}


def one_or_list(schema: Schema) -> Schema:
    """Of a value, or of a list of such."""
    return {"anyOf": [schema, array(schema)]}


def scored(labels: Sequence[str] | None = None) -> Schema:
    """Of labels with their scores, best first."""
    return array(record({"label": string() if labels is None else {"enum": list(labels)}, "score": NUMBER}))
