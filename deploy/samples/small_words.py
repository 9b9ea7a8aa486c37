"""Common words in any order: noise that teaches a model which words do not matter."""

import random
from functools import cache

from deploy.samples.word_lists import names, sections


def any_word(rng: random.Random) -> str:
    """A common word or a noun, the rare ones as often as the others."""
    if rng.random() < 0.6:
        return rng.choice(names("common_words"))
    noun = rng.choice(everyday_words("noun"))
    return rng.choice((noun, f"{noun}s", rng.choice(everyday_words("job")), rng.choice(everyday_words("adverb"))))


def small_word(rng: random.Random) -> str:
    """A common word, or an everyday noun or adjective."""
    if rng.random() < 0.3:
        return rng.choice(everyday_words(rng.choice(("noun", "nouns", "adjective", "job"))))
    common = names("common_words")
    return common[int(len(common) * rng.random() ** 2)]  # the most common come first in the list


def small_words(rng: random.Random) -> str:
    """A few of them."""
    return " ".join(small_word(rng) for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5))))


@cache
def everyday_words(kind: str) -> tuple[str, ...]:
    """One kind of words, such as "noun"."""
    return tuple(word for row in sections("everyday_words")[kind] for word in row.split(", "))
