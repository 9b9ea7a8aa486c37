"""Makes up words that sound like words, so that a model learns from shape and context what a list cannot hold."""

import random

ONSETS = (
    *("b", "br", "c", "ch", "d", "dr", "f", "fr", "g", "gl", "gr", "h", "j", "k", "kr", "kw", "l", "m", "n", "p", "pr"),
    *("qu", "r", "s", "sh", "sk", "st", "sl", "t", "th", "tr", "ts", "v", "w", "x", "y", "z", "", "", "m", "n", "l"),
)
VOWELS: tuple[str, ...] = (*"aeiou", *"aeiou", *"aeio", "ai", "ee", "ia", "ou", "ei", "ö", "é", "y", "au", "oo")
CODAS = ("", "", "", "n", "r", "l", "s", "m", "t", "k", "nd", "rt", "ck", "ng", "th", "x", "lm", "sch", "nn", "st", "z")
LINKS: tuple[str, ...] = ("", "", "", "", "n", "r", "l", "s", "m")
ENDINGS = ("s", "s", "s", "ing", "ing", "ed", "ed", "ly", "tion", "ness", "er", "ment", "able", "ies", "ful", "less")
CAPITALS = "ABCDEFGHIKLMNOPRSTUVWZ"


def invented_name(rng: random.Random) -> str:
    """A capitalised word such as "Drailon"."""
    return _sounds(rng, rng.choice((1, 2, 2, 2, 3))).capitalize()


def murmur(rng: random.Random) -> str:
    """A small word that is no name, such as "klobing"."""
    return _sounds(rng, rng.choice((1, 1, 2))) + (rng.choice(ENDINGS) if rng.random() < 0.75 else "")


def acronym(rng: random.Random) -> str:
    """Capitals such as "TKB"."""
    return "".join(rng.choices(CAPITALS, k=rng.choice((2, 3, 3, 3, 4, 4, 5))))


def initial(rng: random.Random) -> str:
    """One capital."""
    return rng.choice(CAPITALS)


def _sounds(rng: random.Random, syllables: int) -> str:
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(LINKS) for _ in range(syllables - 1))
    word += rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
    return word if len(word) > 2 else word + rng.choice(("n", "rk", "ss", "ll"))
