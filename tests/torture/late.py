"""Answers that come too late, or never: deadlines hold, and what never ends keeps nobody else from anything.

Of a model that takes ten milliseconds or more, which runs in a thread of its own. One that took a few for long runs on
the event loop: when that one hangs, all wait for it until the worker is ended, which only the full length looks at.
"""

import asyncio
import contextlib
import math
import re
import time
from collections.abc import Sequence

from model_functions.http import pulse
from tests.running import EDGES
from tests.torture.load import Answer, Connection, asking, once, port_of, quantile, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Requests whose deadline passes, on each edge.
LENGTHS = {"short": 8, "full": 100}

DEADLINE_MS, LATEST_MS = 500, 650
FROZEN_S = 3


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    bars = list[Bar]()
    for edge in EDGES:
        for ask in (_deadlines, _stuck):
            with place.function("tabular", edge, THREADS="16") as (url, _):
                port = port_of(url)
                for model in ("waiting", "writing"):
                    assert once(port, asking("/warmup", {"model_name": model})).status == 200
                bars += asyncio.run(ask(port, edge, int(LENGTHS[length])))
    with place.function("tabular", MODEL_NAME="waiting", CLOUD_RUN_TIMEOUT_SECONDS=str(FROZEN_S)) as (url, _):
        bars += asyncio.run(_frozen(port_of(url)))
    if length == "full":
        with place.function("tabular", MODEL_NAME="waiting") as (url, _):
            bars += asyncio.run(_still(port_of(url)))
    return bars


async def _deadlines(port: int, edge: str, count: int) -> Sequence[Bar]:
    """Of a model that takes three seconds, four at a time: one runs, the others wait for it."""
    asked = asking(value=_data("wait 3"), X_Request_Timeout_Ms=str(DEADLINE_MS))
    before, answers, quick = await _runs(port), list[Answer](), 0
    while len(answers) < count:
        quick += await _calm(port)
        answers += await asyncio.gather(*(_ask(port, asked) for _ in range(4)))
    quick += await _calm(port)
    begun = await _runs(port) - before - quick
    late = [answer for answer in answers if answer.code == "deadline_exceeded"]
    milliseconds = [round(answer.seconds * 1000) for answer in late]
    in_time = sum(DEADLINE_MS <= taken <= LATEST_MS for taken in milliseconds)
    return [
        Bar(
            f"{edge}: a model of 3 s and X-Request-Timeout-Ms: {DEADLINE_MS}",
            f"{count} × 504, ≥ 99 % in {DEADLINE_MS}–{LATEST_MS} ms",
            f"{statuses(answers)}, {in_time} in time, {min(milliseconds, default=0)}–{max(milliseconds, default=0)} ms",
            len(late) == len(answers) and in_time >= 0.99 * len(answers),
        ),
        Bar("begun behind their deadline", "0", str(max(0, begun - count // 4)), begun <= count // 4),
    ]


async def _stuck(port: int, edge: str, count: int) -> Sequence[Bar]:
    """Beside a predict that goes on for minutes after its caller has gone."""
    await _ask(port, asking(value=_data("wait 600"), X_Request_Timeout_Ms="300"))
    await asyncio.sleep(1.5)
    asked = {
        "another model": asking(value=_data("wait 0 one", "writing")),
        "/health": asking("/health", method="GET"),
        "/metrics": asking("/metrics", method="GET"),
    }
    bars = list[Bar]()
    for what, request in asked.items():
        answers = [await _ask(port, request) for _ in range(count)]
        good, p99 = sum(answer.status == 200 for answer in answers), quantile(answer.seconds for answer in answers)
        found = f"{good} × 200, {p99 * 1000:.0f} ms"
        bars.append(
            Bar(
                f"{edge}: {what} beside a predict that is stuck",
                f"{count} × 200, p99 ≤ 100 ms",
                found,
                p99 <= 0.1 and good == count,
            )
        )
    refused = await _ask(port, asking(value=_data("wait 0")))
    ready = await _ask(port, asking("/ready", method="GET"))
    return [
        *bars,
        Bar(
            "its own model, and readiness",
            "503 overloaded with Retry-After",
            statuses([refused, ready]),
            all(one.code == "overloaded" and "retry-after" in one.headers for one in (refused, ready)),
        ),
    ]


async def _frozen(port: int) -> Sequence[Bar]:
    """The limit: a model that holds Python's lock. gunicorn's master ends the worker that does not stir for as long as
    the platform lets a request take, and starts another one.
    """
    assert (await _ask(port, asking(value=_data("wait 0")))).status == 200
    what = f"a model that holds Python's lock, where requests may take {FROZEN_S} s: served again"
    return [await _served_again(port, what, "hold 120", 2 * FROZEN_S + 3)]


async def _still(port: int) -> Sequence[Bar]:
    """A model that was quick for long waits on the event loop, and nobody says how long a request may take."""
    for _ in range(200):
        assert (await _ask(port, asking(value=_data("say it")))).status == 200
    bound = math.ceil(pulse.LOOK_S * (pulse.LOOKS + 1)) + 5
    return [await _served_again(port, "a model that was quick for long and hangs: served again", "wait 600", bound)]


async def _served_again(port: int, what: str, data: str, bound: int) -> Bar:
    async with Connection(port) as connection:
        hanging = asyncio.create_task(connection.ask(asking(value=_data(data))))
        began, answer = time.monotonic(), None
        await asyncio.sleep(0.2)
        while answer is None or answer.status != 200:
            assert time.monotonic() < began + 60, "the worker was not ended"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    answer = await _ask(port, asking(value=_data("wait 0")))
            await asyncio.sleep(0.2)
        seconds = time.monotonic() - began
        lost = await hanging
    return Bar(what, f"≤ {bound} s", f"{seconds:.1f} s, and what hung: {statuses([lost])}", seconds <= bound)


def _data(data: str, model: str = "waiting") -> dict[str, str]:
    return {"model_name": model, "data": data}


async def _ask(port: int, request: bytes) -> Answer:
    async with Connection(port) as connection:
        return await connection.ask(request)


async def _runs(port: int) -> int:
    """How often a model has run here."""
    told = await _ask(port, asking("/metrics", method="GET"))
    [count] = re.findall(rb"^model_functions_batch_rows_count (\d+)", told.body, re.MULTILINE)
    return int(count)


async def _calm(port: int) -> int:
    """Asks until what was begun has ended, and is no longer taken for what is usual; how often it was served."""
    began, served = time.monotonic(), 0
    while served < 40:
        assert time.monotonic() < began + 20, "the model is still busy"
        answer = await _ask(port, asking(value=_data("wait 0.01")))
        served += answer.status == 200
        await asyncio.sleep(0 if answer.status == 200 else 0.1)
    return served
