"""English sentences of praise and of complaint: made ones to train on, and ones written by hand to be measured on."""

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

from deploy.samples.grammar import Grammar, Leaf
from deploy.samples.invented_words import murmur
from deploy.samples.small_bert import fixed_words
from deploy.samples.small_words import everyday_words
from deploy.samples.word_lists import names, sections

LABELS = ("negative", "positive")

#: What the lists call the two, in the order of the labels.
_SIDES = ("bad", "good")

#: Words of the lists that tell nothing alone.
_PLAIN = {*("a", "an", "and", "as", "at", "for", "from", "i", "in", "is", "it", "me", "my", "of", "on", "our", "the")}
_PLAIN |= {"them", "to", "us", "was", "we", "were", "with", "you"}

#: Words that turn what stands beside them: noise must not hold them, or they would seem to do nothing.
_TURNS = {*("neither", "nor", "without", "yet", "although", "though", "however", "least", "too", "didn't", "isn't")}
_TURNS |= {"wasn't", "only", "few", "little", "lack", "despite", "until", "no", "not", "never", "but", "than"}


class Opinion(NamedTuple):
    text: str
    label: int
    """Its index in LABELS."""


def sentiment_grammar() -> Grammar:
    """Makes what is to be learnt from, such as ``good_text`` and ``bad_text``."""
    leaves: dict[str, Leaf] = {"murmur": murmur, "loose_words": loose_words}
    leaves |= {kind: partial(_choose, everyday_words(kind)) for kind in sections("everyday_words")}
    leaves |= {kind: partial(_choose, entries(kind)) for kind in sections("sentiment_words")}
    rules: dict[str, Sequence[str]] = {}
    for slot, templates in sections("sentiment_sentences").items():
        if slot.startswith("one_"):
            for side, opposite in (_SIDES, _SIDES[::-1]):
                rules[slot.replace("one_", f"{side}_")] = [_sided(line, side, opposite) for line in templates]
        else:
            rules[slot] = [_sided(line, "good", "bad") for line in templates]
    for side in _SIDES:
        whole = sections("sentiment_opinions")[side]
        rules[f"{side}_opinion"] = [opinion if opinion.endswith(("!", "?")) else f"{opinion}." for opinion in whole]
        rules[f"{side}_remark"] = [_inside(opinion) for opinion in whole if not opinion.endswith(("!", "?"))]
        leaves[f"{side}_valence"] = partial(_choose, _valences(side))
    return Grammar(rules, leaves, {})


def _inside(opinion: str) -> str:
    """As it stands inside a sentence."""
    return opinion if re.match(r"I\b", opinion) else opinion[0].lower() + opinion[1:]


@cache
def _valences(side: str) -> tuple[str, ...]:
    """The lexicon's words, but for those that also name a thing."""
    plain = {*_words(entries("thing")), *everyday_words("noun"), *everyday_words("job"), *_PLAIN, *_TURNS}
    return tuple(word for row in sections("valences")[side] for word in row.split(", ") if word not in plain)


def leanings() -> dict[str, int]:
    """The single words that tell something alone: 1 for praise, -1 for complaint, 0 where the lists say both."""
    found: dict[str, int] = {}
    for side, leaning in zip(_SIDES, (-1, 1), strict=True):
        found |= dict.fromkeys(_valences(side), leaning)
    ours = {side: {entry for kind in _judging(side) for entry in entries(kind)} for side in _SIDES}
    bad, good = (ours[side] for side in _SIDES)
    found |= {word: (word in good) - (word in bad) for word in good | bad}
    return found


def _judging(side: str) -> list[str]:
    return [kind for kind in sections("sentiment_words") if kind.startswith(side)]


def _sided(template: str, one: str, other: str) -> str:
    return template.replace("{one_", f"{{{one}_").replace("{other_", f"{{{other}_")


def entries(kind: str) -> tuple[str, ...]:
    """One list of sentiment_words.txt."""
    return tuple(entry.strip() for row in sections("sentiment_words")[kind] for entry in row.split(","))


def opinions(grammar: Grammar, count: int, rng: random.Random, slot: str = "text") -> Iterator[Opinion]:
    """So many made ones, of both labels in turn.

    Args:
        slot: "text", or only a part: "bare" words, "opinion" as written by hand, and so on.
    """
    for number in range(count):
        label = number % len(LABELS)
        yield Opinion(_finished(grammar.text(f"{_SIDES[label]}_{slot}", rng)), label)


def written(file: str) -> list[Opinion]:
    """Those written by hand: ``sentiment_held_out``, or ``sentiment_tuning``, which training was tuned on."""
    return [Opinion(text, label) for label, side in enumerate(_SIDES) for text in sections(file)[side]]


def loose_words(rng: random.Random) -> str:
    """A few words that tell nothing: else every word of a few sentences alone would seem to."""
    return " ".join(rng.choices(_neutral_words(), k=rng.choice((1, 2, 2, 3, 3, 4))))


@cache
def _neutral_words() -> tuple[str, ...]:
    """The templates' and the everyday words that are in no list of praise or complaint."""
    judging = {word for side in _SIDES for kind in _judging(side) for word in _words(entries(kind))}
    turning = _TURNS | {word for side in _SIDES for word in _valences(side)}
    known = [*names("common_words"), *fixed_words("everyday_words", "sentiment_sentences")]
    plain = [*entries("thing"), *entries("someone")]
    return tuple(dict.fromkeys(word for word in _words([*known, *plain]) if word not in (judging | turning) - _PLAIN))


def _words(texts: Sequence[str]) -> list[str]:
    return [word.lower() for text in texts for word in re.findall(r"[A-Za-z']+", text)]


def _choose(words: Sequence[str], rng: random.Random) -> str:
    return rng.choice(words)


def _finished(text: str) -> str:
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text[:1].upper() + text[1:])
