"""Where names come from, in two parts that share none: one to train on and one to measure on."""

import random
import zlib
from functools import cache

from deploy.samples.grammar import Leaf
from deploy.samples.invented_words import acronym, invented_name
from deploy.samples.word_lists import names, sections

NAME_LISTS = ("first_names", "surnames", "organisations", "cities", "countries", "regions", "waters")
#: How many of the training names are blends of two listed ones: the lists alone would be learnt by heart.
BLENDED = 0.5
#: How many blends are of the same kind of name; the others tell nothing but that they are names.
ALIKE = 0.55


def is_held_out(made_up: str) -> bool:
    """Whether training must not see a made-up name (or number): one in eight, or a listed one that it happens to be."""
    return zlib.crc32(made_up.encode()) % 8 == 0 or made_up in _all_held_out()


def known_names(list_name: str, *, held_out: bool) -> tuple[str, ...]:
    """A list of real names, or its part that is kept for measuring."""
    if held_out:
        return tuple(name for row in sections("held_out_names")[list_name] for name in row.split(", "))
    return names(list_name)


@cache
def _all_held_out() -> frozenset[str]:
    return frozenset(name for list_name in NAME_LISTS for name in known_names(list_name, held_out=True))


@cache
def name_leaves(*, held_out: bool) -> dict[str, Leaf]:
    """What fills the slots of names: one entry for each word list, "invented" and "acronym"."""
    mixed = {list_name: _mixed(list_name, held_out=held_out) for list_name in NAME_LISTS}
    listed = {f"listed_{list_name}": _listed(list_name, held_out=held_out) for list_name in NAME_LISTS}
    made_up = {"invented": only(invented_name, held_out=held_out), "acronym": only(acronym, held_out=held_out)}
    return mixed | listed | made_up


def only(make: Leaf, *, held_out: bool) -> Leaf:
    """The same, but from one of the two parts."""

    def made(rng: random.Random) -> str:
        while is_held_out(text := make(rng)) != held_out:
            pass
        return text

    return made


def _listed(list_name: str, *, held_out: bool) -> Leaf:
    known = known_names(list_name, held_out=held_out)
    return lambda rng: rng.choice(known)


def _mixed(list_name: str, *, held_out: bool) -> Leaf:
    listed = _listed(list_name, held_out=held_out)
    if held_out:
        return listed
    alike, any_kind = _single_words(list_name), [word for each in NAME_LISTS for word in _single_words(each)]
    blend = only(lambda rng: _blend(alike if rng.random() < ALIKE else any_kind, rng), held_out=False)
    return lambda rng: blend(rng) if rng.random() < BLENDED else listed(rng)


def _single_words(list_name: str) -> list[str]:
    return [name for name in known_names(list_name, held_out=False) if name.isalpha() and len(name) > 3]


def _blend(words: list[str], rng: random.Random) -> str:
    """The beginning of one name and the end of another: new, but such as names are."""
    first, last = rng.choice(words), rng.choice(words)
    return first[: rng.randint(2, len(first) - 1)] + last[rng.randint(1, len(last) - 2) :].lower()
