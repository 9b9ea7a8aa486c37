"""Entities: one is right where its borders and its kind are, whatever else was found."""

from typing import Any

import pytest

from deploy.evaluation.kinds import NotOfThisKind
from deploy.evaluation.kinds.entities import Entities, Entity, entity_f1

ANNA, BERLIN, PARIS = Entity(0, 4, "PER"), Entity(8, 14, "LOC"), Entity(20, 25, "LOC")


def entities(*found: Entity) -> frozenset[Entity]:
    return frozenset(found)


def test_a_wrong_border_or_kind_is_no_hit() -> None:
    right = [entities(ANNA, BERLIN)]
    assert entity_f1(right, right) == 1.0
    assert entity_f1(right, [entities(ANNA, BERLIN._replace(end=13))]) == 0.5
    assert entity_f1(right, [entities(ANNA, BERLIN._replace(label="ORG"))]) == 0.5


def test_neighbours_without_a_space_are_two() -> None:
    # As in Chinese or Japanese: one that touches the right one takes nothing away from it. P 1/2, R 1.
    right, said = [entities(Entity(4, 8, "LOC"))], [entities(Entity(0, 4, "PER"), Entity(4, 8, "LOC"))]
    assert entity_f1(right, said) == pytest.approx(2 / 3)


def test_figures_are_over_all_rows_and_by_kind() -> None:
    expected = [entities(ANNA, BERLIN), entities(PARIS), entities()]
    found = [entities(ANNA), entities(PARIS, ANNA), entities(BERLIN)]
    # 2 of 4 found are right, 2 of 3 right are found. PER: P 1/2, R 1, F1 2/3. LOC: P 1/2, R 1/2.
    assert Entities().scores(expected, found) == pytest.approx(
        {
            "entity_f1": 2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3),
            "entity_precision": 1 / 2,
            "entity_recall": 2 / 3,
            "entity_f1_macro": (2 / 3 + 1 / 2) / 2,
        }
    )
    assert [(row["class"], row["entities"]) for row in Entities().classes(expected, found)] == [("LOC", 2), ("PER", 1)]


def test_no_entities_at_all() -> None:
    assert set(Entities().scores([entities()], [entities()]).values()) == {1.0}
    assert set(Entities().scores([entities(ANNA)], [entities()]).values()) == {0.0}
    assert set(Entities().scores([entities()], [entities(ANNA)]).values()) == {0.0}
    assert Entities().classes([entities()], [entities()]) == []


def test_both_ways_of_naming_a_kind_are_read() -> None:
    grouped = {"entity_group": "PER", "score": 0.9, "word": "Anna", "start": 0, "end": 4}
    token = {"entity": "B-PER", "score": 0.9, "word": "Anna", "start": 0, "end": 4}
    assert Entities().found([grouped]) == entities(ANNA)
    assert Entities().found([token]) == entities(Entity(0, 4, "B-PER"))
    assert Entities().found([]) == entities()
    for wrong in ({"prediction": 1}, [{"label": "a", "score": 1.0}], [1.0]):
        with pytest.raises(NotOfThisKind):
            Entities().found(wrong)


def test_places_count_characters_whatever_they_are() -> None:
    text = "👩‍🔬 Анна lebt in Köln."
    start = text.index("Анна")
    right = {"start": start, "end": start + 4, "entity_group": "PER", "word": "Анна"}
    assert Entities().expected([right], text) == entities(Entity(start, start + 4, "PER"))
    of_bytes = right | {"start": len(text[:start].encode()), "end": len(text[: start + 4].encode())}
    with pytest.raises(ValueError, match='says that "Анна" stands from 12 to 20, where the text has "t in Köl"'):
        Entities().expected([of_bytes], text)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("PER", "is no list. Give"),
        ([{"start": 0, "end": 4}], "which is no entity. Give"),
        (["Anna"], "has 'Anna', which is no entity"),
        ([{"start": 4, "end": 4, "entity_group": "PER"}], "has an entity from 4 to 4. Count characters"),
        ([{"start": "0", "end": 4, "label": "PER"}], "has an entity from 0 to 4. Count characters"),
        ([{"start": 0, "end": 40, "label": "PER"}], "has an entity that ends at 40, and the text has 16 characters"),
        ([{"start": 0, "end": 4, "label": "PER"}] * 2, "has an entity twice. Leave one out."),
    ],
)
def test_a_wrong_label_is_told_with_the_way_out(label: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Entities().expected(label, "Anna is at home.")
