"""Small stories of one who loses something and finds it with a friend, and the requests that ask for them."""

import random
from dataclasses import dataclass

from deploy.samples.grammar import SLOT
from deploy.samples.name_sources import is_held_out
from deploy.samples.word_lists import sections

WORDS = "stories"
HELD_OUT = " held out"
#: How many sentences of a held-out story.
UNSEEN = 1 / 3
#: A story's sentences, in order; those that some stories leave out.
BEATS = ("opening", "treasure", "trouble", "feeling", "helper", "search", "finding", "thanks", "ending")
OPTIONAL = ("treasure", "feeling", "search", "thanks")

REQUESTS = (
    "Tell me a story about a {animal} and a {thing}.",
    "Tell me a story about a {animal}.",
    "Write a story about a {animal} called {hero}.",
    "Can you tell me a story about {hero} the {animal}?",
    "I would like a story about a {thing}.",
    "A story about a {animal} and a {friend}, please.",
)


@dataclass(frozen=True)
class Story:
    """A story, and how somebody could have asked for it."""

    request: str
    text: str


def make_story(rng: random.Random, *, held_out: bool) -> Story:
    """A random story. In one that is held out a hero, a thing and a place meet that never do in training, and a third
    of its sentences are of shapes that training never saw.
    """
    words = _words(rng, held_out=held_out)
    beats = [beat for beat in BEATS if beat not in OPTIONAL or rng.random() < 0.75]
    lists = sections(WORDS)
    unseen = [held_out and rng.random() < UNSEEN for _ in beats]
    sentences = [rng.choice(lists[beat + HELD_OUT if new else beat]) for beat, new in zip(beats, unseen, strict=True)]
    return Story(_filled(rng.choice(REQUESTS), words), " ".join(_filled(sentence, words) for sentence in sentences))


def _words(rng: random.Random, *, held_out: bool) -> dict[str, str]:
    """What fills the slots, from one of the two parts that share no combination."""
    while True:
        found = {kind: _one_of(kind, rng) for kind in ("animal", "nature", "home", "thing", "place", "food", "weather")}
        if is_held_out(f"{found['animal']} {found['thing']} {found['place']}") == held_out:
            break
    found["time"] = _one_of("time", rng)
    while (friend := _one_of("animal", rng)) == found["animal"]:
        pass
    kind = rng.choice(("girl", "boy"))
    pronouns = ("she", "her", "her") if kind == "girl" else ("he", "him", "his")
    names = dict(zip(("they", "them", "their"), pronouns, strict=True))
    capitalised = {name.capitalize(): word.capitalize() for name, word in names.items()}
    return found | names | capitalised | {"friend": friend, "hero": _one_of(kind, rng)}


def _one_of(kind: str, rng: random.Random) -> str:
    return rng.choice([word for row in sections(WORDS)[kind] for word in row.split(", ")])


def _filled(template: str, words: dict[str, str]) -> str:
    text = SLOT.sub(lambda match: words[match[1]], template)
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}").replace(f"A {vowel}", f"An {vowel}")
    return text
