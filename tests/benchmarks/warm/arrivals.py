"""When the requests of an open loop are meant to start: as independent callers come, whatever the server does."""

import random

_SEED = 6


def poisson(rate: float, seconds: float) -> list[float]:
    """Seconds from the beginning, ascending; the same ones for the same rate.

    Args:
        rate: a second.
    """
    draw, now = random.Random(_SEED), 0.0
    moments: list[float] = []
    while True:
        now += draw.expovariate(rate)
        if now >= seconds:
            return moments
        moments.append(now)
