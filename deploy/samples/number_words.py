"""Numbers from 0 to 9999 in English and in Russian words."""

import random

from deploy.samples.word_lists import lines

LARGEST = 9999


def _read(column: int) -> dict[int, str]:
    rows = (line.split(" | ") for line in lines("numbers"))
    return {int(row[0]): row[column] for row in rows}


ENGLISH = _read(1)
RUSSIAN = _read(2)
#: A thousand is feminine in Russian, and so are one and two before it.
RUSSIAN_FEMININE = {1: "одна", 2: "две"}


def russian(number: int) -> str:
    """The number in Russian words: 2021 is "две тысячи двадцать один"."""
    thousands, rest = divmod(number, 1000)
    words = []
    if thousands:
        words += [RUSSIAN_FEMININE.get(thousands, RUSSIAN[thousands]), _russian_thousands(thousands)]
    if rest or not thousands:
        words += [RUSSIAN[part] for part in _parts(rest)]
    return " ".join(words)


def english(number: int, *, joiner: str = "-", conjunction: str = "and ") -> str:
    """The number in English words: 2021 is "two thousand and twenty-one"."""
    thousands, rest = divmod(number, 1000)
    hundreds, rest = rest - rest % 100, rest % 100
    words = []
    if thousands:
        words.append(f"{ENGLISH[thousands]} thousand")
    if hundreds:
        words.append(ENGLISH[hundreds])
    if rest or not words:
        below_hundred = joiner.join(ENGLISH[part] for part in _parts(rest))
        words.append(f"{conjunction if words else ''}{below_hundred}")
    return " ".join(words)


def spoken_english(number: int, rng: random.Random) -> str:
    """One of the ways in which people write the number in English."""
    text = english(number, joiner=rng.choice(["-", " "]), conjunction=rng.choice(["and ", ""]))
    if text.startswith(("one hundred", "one thousand")) and rng.random() < 0.2:
        text = text.replace("one", "a", 1)
    return text


def _parts(below_thousand: int) -> list[int]:
    """Splits 345 into 300, 40 and 5, the numbers that have a word of their own."""
    hundreds, rest = below_thousand - below_thousand % 100, below_thousand % 100
    tens, units = (rest - rest % 10, rest % 10) if rest >= 20 else (0, rest)
    return [part for part in (hundreds, tens, units) if part] or [0]


def _russian_thousands(count: int) -> str:
    if count == 1:
        return "тысяча"
    return "тысячи" if count in (2, 3, 4) else "тысяч"
