"""How likely a model held the tokens of an answer, before anything narrowed the choice."""

from typing import NamedTuple

import numpy as np

from model_functions.engines.search import Floats, largest

#: What stands for less, and for an impossible token, as JSON has no infinity.
LEAST = -9999.0


class Likelihood(NamedTuple):
    """Logarithms of probabilities.

    Args:
        logprob: of the token that was chosen.
        top: the likeliest tokens in its place and theirs, likeliest first.
    """

    logprob: float
    top: list[tuple[int, float]]


class Token(NamedTuple):
    """A token of an answer, or what could have stood in its place.

    Args:
        text: what it adds to the text; of a special token, its name.
        top: the likeliest in its place.
    """

    number: int
    text: str
    logprob: float
    special: bool
    top: list["Token"]


def likelihood(scores: Floats, token: int, count: int) -> Likelihood:
    """Of the token among all scores, and of so many of the likeliest."""
    highest = scores.max()
    total = float(highest + np.log(np.exp(scores - highest).sum()))
    places = largest(scores[None], count)[0].tolist() if count else []
    return Likelihood(
        max(float(scores[token]) - total, LEAST),
        [(place, max(float(scores[place]) - total, LEAST)) for place in places],
    )
