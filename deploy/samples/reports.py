"""Short reports and their one-line summaries: two sets without a name, a wording or an order of sentences in common."""

import random
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from deploy.samples.grammar import SLOT, Leaf
from deploy.samples.name_sources import name_leaves, only
from deploy.samples.small_words import everyday_words, small_word, small_words
from deploy.samples.word_lists import FOLDER, sections

HELD_OUT = " held out"
WORDS = "report_words"
MONTHS = everyday_words("month")
WEEKDAYS = everyday_words("weekday")


@dataclass(frozen=True)
class Report:
    """A report of some sentences and what it comes down to."""

    text: str
    summary: str


def report_kinds() -> list[str]:
    """The word lists that describe a kind of report."""
    return sorted(path.stem for path in FOLDER.glob("report_*.txt") if path.stem != WORDS)


def facts_of(kind: str) -> list[str]:
    """What a report of this kind tells, each in one sentence."""
    return [heading for heading in sections(kind) if heading != "summary" and not heading.endswith(HELD_OUT)]


@cache
def orders(facts: int, *, held_out: bool) -> list[tuple[int, ...]]:
    """In which orders training sees so many sentences, or those which it does not: every third."""
    return [order for place, order in enumerate(permutations(range(facts))) if (place % 3 == 2) == held_out]


def make_report(rng: random.Random, *, held_out: bool) -> Report:
    """A random report, for training or for measuring."""
    kind = rng.choice(report_kinds())
    facts, wordings = facts_of(kind), sections(kind)
    ending = HELD_OUT if held_out else ""
    order = rng.choice(orders(len(facts), held_out=held_out))
    sentences = [rng.choice(wordings[facts[place] + ending]) for place in order]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        sentences.insert(rng.randint(0, len(sentences)), _aside(rng, held_out=held_out))
    if not held_out:
        sentences = [_reworded(sentence, rng) for sentence in sentences]
    details = Details(rng, held_out=held_out)
    return Report(details.fill(" ".join(sentences)), details.fill(wordings["summary"][0]))


def _aside(rng: random.Random, *, held_out: bool) -> str:
    if not held_out and rng.random() < 0.3:
        return f"{small_words(rng)} {small_words(rng)}.".capitalize()
    return rng.choice(sections(WORDS)["aside" + HELD_OUT if held_out else "aside"])


def _reworded(sentence: str, rng: random.Random) -> str:
    """The sentence in a frame, with words missing or added: few wordings are written down, people have many."""
    if rng.random() < 0.3:
        sentence = f"{rng.choice(sections(WORDS)['frame'])} {sentence[0].lower()}{sentence[1:]}"
    noise = rng.choice((0, 0, 0.1, 0.2))
    words = []
    for word in sentence.split():
        if rng.random() < noise / 2:
            words.append(small_word(rng))
        if SLOT.search(word) or rng.random() >= noise:
            words.append(word)
    return " ".join(words)


class Details:
    """The names, numbers and things of one report; a slot has the same text wherever it stands."""

    def __init__(self, rng: random.Random, *, held_out: bool):
        self.rng = rng
        self.leaves = _leaves(held_out=held_out)
        self.known: dict[str, str] = {}

    def fill(self, template: str) -> str:
        """The template with its slots filled; {city2} is another {city}."""
        return SLOT.sub(lambda match: self._detail(match[1]), template)

    def _detail(self, slot: str) -> str:
        if slot not in self.known:
            leaf = self.leaves[slot.rstrip("2")]
            while (text := leaf(self.rng)) in self.known.values():
                pass
            self.known[slot] = text
        return self.known[slot]


@cache
def _leaves(*, held_out: bool) -> dict[str, Leaf]:
    leaves = {kind: _one_of(rows) for kind, rows in sections(WORDS).items() if not kind.startswith(("aside", "frame"))}
    name = name_leaves(held_out=held_out)

    def surname(rng: random.Random) -> str:
        return name[rng.choice(("surnames", "surnames", "invented"))](rng)

    def city(rng: random.Random) -> str:
        return name[rng.choice(("cities", "cities", "cities", "invented"))](rng)

    def company(rng: random.Random) -> str:
        return f"{surname(rng)} {leaves['company_tail'](rng)}" if rng.random() < 0.7 else name["organisations"](rng)

    def large_number(rng: random.Random) -> str:
        return str(rng.randrange(10 ** rng.choice((2, 3, 3, 4, 5))) + 10)

    return leaves | {
        "company": company,
        "city": city,
        "person": lambda rng: f"{name['first_names'](rng)} {surname(rng)}",
        "team": lambda rng: f"{city(rng)} {leaves['team_tail'](rng)}",
        "street": lambda rng: f"{surname(rng)} {leaves['street_tail'](rng)}",
        "count": only(large_number, held_out=held_out),
        "money": only(large_number, held_out=held_out),
        "month": lambda rng: rng.choice(MONTHS),
        "weekday": lambda rng: rng.choice(WEEKDAYS),
        "percent": lambda rng: str(rng.randint(2, 99)),
        "degrees": lambda rng: str(rng.randint(-15, 39)),
        "minutes": lambda rng: str(rng.randint(5, 240)),
        "minute": lambda rng: str(rng.randint(1, 90)),
        "hours": lambda rng: str(rng.randint(2, 30)),
        "day": lambda rng: str(rng.randint(1, 28)),
        "hurt": lambda rng: str(rng.randint(2, 12)),
        "score": lambda rng: f"{(winner := rng.randint(1, 6))}-{rng.randrange(winner)}",
    }


def _one_of(rows: tuple[str, ...]) -> Leaf:
    words = [word for row in rows for word in row.split(", ")]
    return lambda rng: rng.choice(words)
