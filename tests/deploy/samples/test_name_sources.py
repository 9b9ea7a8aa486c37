"""Names: the ones that scores are measured with are never trained on."""

import random

import pytest

from deploy.samples.name_sources import NAME_LISTS, is_held_out, known_names, name_leaves


def test_no_name_is_on_both_sides() -> None:
    trained = {name for list_name in NAME_LISTS for name in known_names(list_name, held_out=False)}
    held_out = {name for list_name in NAME_LISTS for name in known_names(list_name, held_out=True)}
    assert held_out
    assert not trained & held_out


@pytest.mark.parametrize("slot", [*NAME_LISTS, "invented", "acronym"])
def test_training_never_makes_a_held_out_name(slot: str) -> None:
    rng = random.Random(1)
    held_out = {name for list_name in NAME_LISTS for name in known_names(list_name, held_out=True)}
    assert not {name_leaves(held_out=False)[slot](rng) for _ in range(500)} & held_out


@pytest.mark.parametrize("slot", ["invented", "acronym"])
def test_made_up_names_are_on_one_side(slot: str) -> None:
    rng = random.Random(1)
    for held_out in (False, True):
        assert all(is_held_out(name_leaves(held_out=held_out)[slot](rng)) == held_out for _ in range(200))
