"""Eight times as many callers as an instance can serve: it serves as many as before, and tells the others at once.

A caller that was refused asks again after a tenth of a second, and not after the seconds that it was told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tests.running import EDGES
from tests.torture.load import Answer, asking, closed, elsewhere, port_of, quantile, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Seconds of the overload, for each model and edge.
LENGTHS = {"short": 2, "full": 20}

#: As functions/*/flags.yaml have them, with what is asked and how many callers keep an instance busy.
MODELS = {
    "slow": ({"THREADS": "16"}, "wait 0.1", 3),
    "fast": ({"THREADS": "16"}, "work 0.01", 3),
    "instant": ({"THREADS": "64"}, "wait 0", 8),
}
#: Nobody is refused who is served within this, however much faster others were: it would only come back later.
SOON_S = 0.1
TIMES = 8
PAUSE_S = 0.1


@dataclass
class Loads:
    """What came of a load that an instance is made for, of eight times as much, and of the first again."""

    before: list[Answer]
    during: list[Answer]
    seconds: float
    after: list[Answer]


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    bars = list[Bar]()
    tried = [(model, edge) for model in MODELS for edge in EDGES]
    few = [("slow", "flask"), *((model, "asgi") for model in MODELS)]
    for model, edge in few if length == "short" else tried:
        environment, data, callers = MODELS[model]
        with place.function("tabular", edge, MODEL_NAME="waiting", **environment) as (url, _):
            found = elsewhere(_loads, port_of(url), data, callers, LENGTHS[length])
        bars += _bars(f"{model} model, {edge}", found)
    return bars


async def _loads(port: int, data: str, callers: int, seconds: float) -> Loads:
    request = asking(value={"data": data})

    async def load(callers: int) -> list[Answer]:
        return await closed(port, lambda _: request, callers, seconds, pause_s=PAUSE_S)

    await closed(port, lambda _: request, callers, 1.0)
    before = await load(callers)
    during = await load(TIMES * callers)
    await asyncio.sleep(2)
    return Loads(before, during, seconds, await load(callers))


def _bars(what: str, found: Loads) -> Sequence[Bar]:
    before, during, after = (_good(answers) for answers in (found.before, found.during, found.after))
    refused = [answer for answer in found.during if answer.refused]
    others = [answer for answer in found.during if answer.status != 200 and not _is_honest(answer)]
    goodput = len(during) / max(1, len(before))
    usual = quantile(before)
    admitted, again = (quantile(seconds) / usual for seconds in (during, after))
    refusals = quantile(answer.seconds for answer in refused)
    return [
        Bar(
            f"{what}: {TIMES} × as many callers are served, of as many as before",
            "≥ 90 %",
            f"{goodput:.0%} of {len(before) / found.seconds:.0f}/s",
            goodput >= 0.9,
        ),
        Bar(
            "p99 of what is served",
            f"≤ 4 ×, or ≤ {SOON_S * 1000:.0f} ms",
            f"{admitted:.1f} × {usual * 1000:.1f} ms",
            admitted <= 4 or quantile(during) <= SOON_S,
        ),
        Bar("p99 of refusals", "≤ 50 ms", f"{refusals * 1000:.1f} ms of {len(refused)}", refusals <= 0.05),
        Bar("neither served nor told when to come back", "none", statuses(others), not others),
        Bar("p99 two seconds later", "≤ 1.2 ×", f"{again:.2f} ×", again <= 1.2),
    ]


def _good(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds for answer in answers if answer.status == 200]


def _is_honest(answer: Answer) -> bool:
    return answer.status == 503 and answer.headers.get("retry-after", "").isdecimal()
