"""Whether two servers gave the same entities, each in the envelope of its own."""

import json
from typing import Any

Entity = tuple[str, int, int]


def entities(body: str) -> set[Entity]:
    """Label, start and end of each entity, wherever in the answer they are; none where it has none."""
    try:
        return set(_found(json.loads(body)))
    except ValueError:
        return set()


def agreement(body: str, reference: str) -> float | None:
    """The share of all entities that both have; None when neither has one."""
    ours, theirs = entities(body), entities(reference)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else None


def _found(value: Any) -> list[Entity]:
    if isinstance(value, dict) and "entity_group" in value:
        return [(value["entity_group"], value["start"], value["end"])]
    if isinstance(value, dict):
        return [entity for inner in value.values() for entity in _found(inner)]
    if isinstance(value, list):
        return [entity for inner in value for entity in _found(inner)]
    # MLServer's answers are strings, which hold JSON here.
    if isinstance(value, str) and value.startswith("["):
        return _found(json.loads(value))
    return []
