"""Entities in a text: one is right where its borders and its kind are."""

from collections.abc import Hashable, Sequence, Set
from typing import Any, NamedTuple

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.metric import Metric

_NAMES = ("entity_group", "label", "entity")


class Entity(NamedTuple):
    """[start, end) counts characters."""

    start: int
    end: int
    label: str


class Entities(Kind):
    """What is right, and what is found, is a set of entities."""

    answers = "entities"
    metrics = (
        Metric("entity_f1", "F1 over whole entities; a wrong border or kind is an error"),
        Metric("entity_precision", "of the entities that were found, how many are right"),
        Metric("entity_recall", "of the entities that there are, how many were found"),
        Metric("entity_f1_macro", "F1 of each kind of entity, the mean"),
    )

    def expected(self, label: Any, data: Any) -> frozenset[Entity]:
        if not isinstance(label, list):
            raise ValueError('is no list. Give [{"start": 0, "end": 4, "entity_group": "PER"}], or [] for none.')
        entities = [_entity(one, data if isinstance(data, str) else None) for one in label]
        if len(set(entities)) != len(entities):
            raise ValueError("has an entity twice. Leave one out.")
        return frozenset(entities)

    def found(self, prediction: Any) -> frozenset[Entity]:
        if not isinstance(prediction, list):
            raise NotOfThisKind
        found = set()
        for one in prediction:
            name = next((name for name in _NAMES if name in one), None) if isinstance(one, dict) else None
            if name is None or not {"start", "end"} <= one.keys():
                raise NotOfThisKind
            found.add(Entity(one["start"], one["end"], one[name]))
        return frozenset(found)

    def told(self, value: frozenset[Entity], data: Any) -> str:
        text = data if isinstance(data, str) else ""
        named = [f"{one.label} {text[one.start : one.end] or f'{one.start} to {one.end}'}" for one in sorted(value)]
        return ", ".join(named) or "nothing"

    def merit(self, expected: frozenset[Entity], found: frozenset[Entity]) -> float:
        return entity_f1([expected], [found])

    def scores(self, expected: list[frozenset[Entity]], found: list[frozenset[Entity]]) -> dict[str, float]:
        precision, recall, f1 = _measured(expected, found)
        kinds = _kinds(expected, found)
        each = [_measured(*_only(kind, expected, found))[2] for kind in kinds]
        return {
            "entity_f1": f1,
            "entity_precision": precision,
            "entity_recall": recall,
            "entity_f1_macro": sum(each) / len(each) if each else f1,
        }

    def classes(self, expected: list[frozenset[Entity]], found: list[frozenset[Entity]]) -> list[dict[str, Any]]:
        rows = []
        for kind in _kinds(expected, found):
            right, said = _only(kind, expected, found)
            precision, recall, f1 = _measured(right, said)
            there = sum(map(len, right))
            rows.append({"class": kind, "precision": precision, "recall": recall, "f1": f1, "entities": there})
        return rows


def entity_f1(expected: Sequence[Set[Hashable]], found: Sequence[Set[Hashable]]) -> float:
    """Over the entities of all rows, whatever tells one from another; 1 where there are none and none were found."""
    return _measured(expected, found)[2]


def _measured(expected: Sequence[Set[Hashable]], found: Sequence[Set[Hashable]]) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    from sklearn.metrics import precision_recall_fscore_support

    all_of_them = [
        (entity in right, entity in said)
        for right, said in zip(expected, found, strict=True)
        for entity in right | said
    ]
    if not all_of_them:
        return 1.0, 1.0, 1.0
    right, said = zip(*all_of_them, strict=True)
    precision, recall, f1, _ = precision_recall_fscore_support(right, said, average="binary", zero_division=0.0)
    return float(precision), float(recall), float(f1)


def _kinds(*sides: list[frozenset[Entity]]) -> list[str]:
    return sorted({entity.label for rows in sides for row in rows for entity in row})


def _only(kind: str, *sides: list[frozenset[Entity]]) -> list[list[frozenset[Entity]]]:
    return [[frozenset(entity for entity in row if entity.label == kind) for row in rows] for rows in sides]


def _entity(one: Any, text: str | None) -> Entity:
    name = next((name for name in _NAMES if name in one), None) if isinstance(one, dict) else None
    if name is None or not isinstance(one[name], str):
        raise ValueError(f'has {one!r:.80}, which is no entity. Give {{"start": 0, "end": 4, "entity_group": "PER"}}.')
    start, end = one.get("start"), one.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise ValueError(
            f"has an entity from {start} to {end}. Count characters, the first is 0; the end is behind it."
        )
    if text is not None and end > len(text):
        raise ValueError(f"has an entity that ends at {end}, and the text has {len(text)} characters.")
    word = one.get("word")
    if text is not None and isinstance(word, str) and text[start:end] != word:
        raise ValueError(
            f'says that "{word:.40}" stands from {start} to {end}, where the text has "{text[start:end]:.40}". Count '
            "characters, not bytes."
        )
    return Entity(start, end, one[name])
