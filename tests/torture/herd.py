"""Many callers at once on a function that has loaded nothing yet, from a slow bucket; most of them hang up."""

import asyncio
import json
import time
from collections.abc import Sequence

from tests.torture.load import Answer, Connection, asking, port_of, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Herds, on both edges in turn.
LENGTHS = {"ci": 1, "short": 2, "full": 6}

CALLERS = 200
#: Of them, those who hang up while the model is loaded.
IMPATIENT = 150
#: Of the bucket, for each of its answers.
LATENCY_S = 0.5


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    bars = list[Bar]()
    for number in range(int(LENGTHS[length])):
        bars += _herd(place, ("asgi", "flask")[number % 2])
    return bars


def _herd(place: Place, edge: str) -> Sequence[Bar]:
    place.bucket.fault("read", "*", times=None, latency=LATENCY_S)
    before = place.bucket.count("read", "*wrapper.dill")
    try:
        with place.function("tabular", edge, MODEL_NAME="waiting", THREADS="64") as (url, process):
            answers = asyncio.run(_callers(port_of(url)))
            loaded = sum(_is_load(line) for line in process.lines)
    finally:
        place.bucket.heal()
    downloads = place.bucket.count("read", "*wrapper.dill") - before
    good = sum(answer.status == 200 for answer in answers)
    patient = CALLERS - IMPATIENT
    what = f"herd of {CALLERS} on a cold function, {IMPATIENT} of them hanging up ({edge})"
    return [
        Bar(what, f"{patient} × 200", statuses(answers), good == patient == len(answers)),
        Bar("its downloads, its loads", "1, 1", f"{downloads}, {loaded}", (downloads, loaded) == (1, 1)),
    ]


async def _callers(port: int) -> list[Answer]:
    """The answers of those who wait for theirs."""

    async def ask(number: int) -> Answer | None:
        connection = Connection(port)
        try:
            if number % CALLERS < CALLERS - IMPATIENT:
                return await connection.ask(asking(value={"data": "wait 0"}), number)
            # Within the load, each at another moment.
            async with asyncio.timeout(0.05 + LATENCY_S * number / CALLERS):
                await connection.ask(asking(value={"data": "wait 0"}), number)
        except TimeoutError:
            pass
        finally:
            connection.close()
        return None

    began = time.perf_counter()
    found = await asyncio.gather(*(ask(number) for number in range(CALLERS)))
    assert time.perf_counter() - began >= LATENCY_S, "the bucket was not slow"
    return [answer for answer in found if answer is not None]


def _is_load(line: str) -> bool:
    try:
        return bool(json.loads(line)["message"] == "loaded waiting")
    except (ValueError, KeyError, TypeError):
        return False
