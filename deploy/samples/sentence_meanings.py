"""Sentences that say the same in other words, and others that nearly do, to learn and to measure what means what."""

import random
from typing import NamedTuple

from deploy.samples.grammar import SLOT
from deploy.samples.small_bert import fixed_words
from deploy.samples.small_words import everyday_words, small_words
from deploy.samples.word_lists import names, sections

#: What a meaning is made of: a line of each list, and where or when it was.
PARTS = ("who", "deed", "what", "at")

Meaning = tuple[int, ...]


class Triple(NamedTuple):
    """Two sentences of one meaning, and a third whose meaning differs in one part."""

    sentence: str
    paraphrase: str
    near: str


def triple(rng: random.Random, *, held_out: bool) -> Triple:
    """A held-out paraphrase has a shape that training never sees; one to train on has words that tell nothing too."""
    meaning = tuple(rng.randrange(len(_lines(part))) for part in PARTS)
    shapes = sections("sentence_meanings")["held_out_shapes" if held_out else "shapes"]
    said, again = rng.sample(shapes, 2)
    meanings = ((meaning, said), (meaning, again), (_beside(meaning, rng), again))
    return Triple(*(_said(each, shape if held_out else _padded(shape, rng), rng) for each, shape in meanings))


def vocabulary() -> list[str]:
    """The texts whose words the model reads whole."""
    return [*fixed_words("sentence_meanings", "everyday_words"), *names("common_words")]


def _beside(meaning: Meaning, rng: random.Random) -> Meaning:
    part = rng.randrange(len(PARTS))
    others = [line for line in range(len(_lines(PARTS[part]))) if line != meaning[part]]
    return (*meaning[:part], rng.choice(others), *meaning[part + 1 :])


def _padded(shape: str, rng: random.Random) -> str:
    """The shape with a few small words before or behind it, and an adjective."""
    chance = rng.random()
    if chance < 0.3:
        shape = f"{small_words(rng)} {shape}"
    elif chance < 0.45:
        shape = f"{shape} {small_words(rng)}"
    if rng.random() < 0.3:
        part = rng.choice(("{who}", "{what}"))
        shape = shape.replace(part, f"{rng.choice(everyday_words('adjective'))} {part}")
    return shape


def _said(meaning: Meaning, shape: str, rng: random.Random) -> str:
    words = {part: rng.choice(_lines(part)[line].split(", ")) for part, line in zip(PARTS, meaning, strict=True)}
    text = SLOT.sub(lambda slot: words[slot[1]], shape)
    text = text[:1].upper() + text[1:]
    return text if text.endswith("?") else f"{text}."


def _lines(part: str) -> tuple[str, ...]:
    lists = sections("sentence_meanings")
    return lists["where"] + lists["when"] if part == "at" else lists[part]
