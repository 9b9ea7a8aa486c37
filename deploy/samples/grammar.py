"""Makes random sentences from templates whose slots, in braces, are filled with further templates or with words."""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

Leaf = Callable[[random.Random], str]

SLOT = re.compile(r"\{(\w+)\}")
WEIGHTED = re.compile(r"(\d+)(?: (.*))?")

#: The slots that are whole sentences.
CAPITALISED = ("text", "sentence", "jumble", "start", "roll")


@dataclass(frozen=True)
class Piece:
    """Some text of a sentence and, where it is one whole name, what kind of name."""

    text: str
    label: str | None = None


@dataclass(frozen=True)
class Entity:
    """A name in a text: its characters and its kind."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Sentence:
    """A finished text and the names in it."""

    text: str
    entities: tuple[Entity, ...]


@dataclass(frozen=True)
class Rule:
    """The templates of one slot, each cut into fixed texts (even places) and slots (odd places)."""

    templates: tuple[tuple[str, ...], ...]
    weights: tuple[int, ...]
    """Running totals, as random.choices wants them."""

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Reads templates, one a line, each with its weight in front or 1."""
        found = [(WEIGHTED.fullmatch(line), line) for line in lines]
        weights = [int(match[1]) if match else 1 for match, _ in found]
        templates = [(match[2] or "") if match else line for match, line in found]
        return cls(tuple(tuple(SLOT.split(template)) for template in templates), tuple(accumulate(weights)))


class Grammar:
    """Templates by slot, and functions for the slots that are filled with plain text."""

    def __init__(self, rules: Mapping[str, Iterable[str]], leaves: Mapping[str, Leaf], labels: Mapping[str, str]):
        self.rules = {slot: Rule.parse(lines) for slot, lines in rules.items()}
        self.leaves = leaves
        self.labels = labels
        """The slots whose text is a name, and of which kind."""

    def sentence(self, slot: str, rng: random.Random) -> Sentence:
        """A random text for the slot, with the usual spaces around punctuation."""
        text, entities = "", []
        for piece in self._pieces(slot, rng):
            text, added = _joint(text, piece.text)
            if piece.label and added:
                entities.append(Entity(len(text), len(text) + len(added), piece.label))
            text += added
        return Sentence(text.rstrip(), tuple(entities))

    def text(self, slot: str, rng: random.Random) -> str:
        """The same without the names."""
        return self.sentence(slot, rng).text

    def _pieces(self, slot: str, rng: random.Random) -> list[Piece]:
        if slot not in self.rules:
            return [Piece(self.leaves[slot](rng))]
        rule = self.rules[slot]
        template = rng.choices(rule.templates, cum_weights=rule.weights)[0]
        pieces = []
        for place, part in enumerate(template):
            pieces += self._pieces(part, rng) if place % 2 else [Piece(part)]
        if slot in self.labels:
            return [Piece("".join(piece.text for piece in pieces), self.labels[slot])]
        return _capitalised(pieces) if slot in CAPITALISED else pieces


def _joint(before: str, after: str) -> tuple[str, str]:
    """Both texts without a doubled space or full stop, or a space before punctuation, where they meet."""
    if not before or before.endswith(" "):
        after = after.lstrip(" ")
    if before.endswith(".") and after.startswith("."):
        after = after[1:]
    if after.startswith((",", ".", "?", "!")):
        before = before.rstrip(" ")
    return before, after


def _capitalised(pieces: list[Piece]) -> list[Piece]:
    """The pieces with the first letter of all in upper case."""
    for place, piece in enumerate(pieces):
        letter = next((index for index, character in enumerate(piece.text) if character.isalnum()), None)
        if letter is not None:
            text = piece.text[:letter] + piece.text[letter].upper() + piece.text[letter + 1 :]
            return [*pieces[:place], Piece(text, piece.label), *pieces[place + 1 :]]
    return pieces
