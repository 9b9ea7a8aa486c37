"""English sentences with marked people, organisations and places: two sets without a name or shape in common."""

import random
from collections.abc import Sequence
from functools import partial

from deploy.samples.grammar import Grammar, Leaf
from deploy.samples.invented_words import initial, murmur
from deploy.samples.name_sources import name_leaves
from deploy.samples.small_words import any_word, everyday_words, small_word, small_words
from deploy.samples.word_lists import sections

LABELS = ("PER", "ORG", "LOC")

_LABELLED = {label: label for label in LABELS} | {f"LISTED_{label}": label for label in LABELS}


def training_grammar() -> Grammar:
    """Makes the sentences to learn from."""
    return _grammar("entity_sentences", held_out=False)


def held_out_grammar() -> Grammar:
    """Makes the sentences to be measured on."""
    return _grammar("entity_sentences_held_out", held_out=True)


def _grammar(file: str, *, held_out: bool) -> Grammar:
    leaves: dict[str, Leaf] = {
        "number": lambda rng: rng.choice(
            (str(rng.randint(2, 99)), str(rng.randint(100, 90_000)), "two", "five", "ten")
        ),
        "year": lambda rng: str(rng.randint(1890, 2030)),
        "score": lambda rng: f"{rng.randint(0, 5)}-{rng.randint(0, 5)}",
        "initial": initial,
        "murmur": murmur,
        "any_word": any_word,
        "small_word": small_word,
        "small_words": small_words,
    }
    for kind in sections("everyday_words"):
        leaves[kind] = partial(_choose, everyday_words(kind))
    return Grammar(sections("name_shapes") | sections(file), leaves | name_leaves(held_out=held_out), _LABELLED)


def _choose(words: Sequence[str], rng: random.Random) -> str:
    return rng.choice(words)
