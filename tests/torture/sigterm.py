"""SIGTERM while requests run, on both edges: each is answered, what comes after is refused, the end comes in time."""

import asyncio
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.running import Process
from tests.torture.load import Answer, Connection, asking, once, port_of, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Repetitions, of both edges in turn.
LENGTHS = {"ci": 2, "short": 4, "full": 20}

IN_FLIGHT = 20
#: What the issue allows, of the ten seconds after which the platform ends everything.
BOUND_S = 8.5


@dataclass
class Found:
    """What came of all repetitions."""

    answered: list[Answer] = field(default_factory=list)
    late: list[Answer] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    found, abandoned = Found(), Found()
    for number in range(int(LENGTHS[length])):
        edge = ("asgi", "flask")[number % 2]
        with place.function("tabular", edge, MODEL_NAME="waiting", THREADS="64", MAX_WAITING="64") as (url, process):
            _end(port_of(url), process, "wait 0.05", found)
    for edge in ("asgi", "flask"):
        with place.function("tabular", edge, MODEL_NAME="waiting", THREADS="64", MAX_WAITING="64") as (url, process):
            _end(port_of(url), process, "wait 60", abandoned)
    return [*_bars(found), *_abandoned(abandoned)]


def _end(port: int, process: Process, data: str, found: Found) -> None:
    """Ends the process while it answers requests, and asks once more when it has been told."""
    assert once(port, asking(value={"data": "wait 0"})).status == 200
    asked = threading.Thread(target=lambda: found.answered.extend(asyncio.run(_together(port, data))))
    asked.start()
    time.sleep(0.3)
    told = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    time.sleep(0.25)
    found.late.append(once(port, asking(value={"data": "wait 0"})))
    found.codes.append(process.process.wait(30))
    found.ends.append(time.monotonic() - told)
    asked.join()


async def _together(port: int, data: str) -> list[Answer]:
    async def ask(number: int) -> Answer:
        async with Connection(port) as connection:
            return await connection.ask(asking(value={"data": data}), number)

    return await asyncio.gather(*(ask(number) for number in range(IN_FLIGHT)))


def _bars(found: Found) -> Sequence[Bar]:
    count = len(found.ends)
    whole = sum(answer.status == 200 for answer in found.answered)
    refused = sum(_is_refusal(answer) for answer in found.late)
    return [
        Bar(
            f"SIGTERM with {IN_FLIGHT} requests in flight, {count} times: answered",
            f"{IN_FLIGHT * count} × 200",
            statuses(found.answered),
            whole == len(found.answered) == IN_FLIGHT * count,
        ),
        Bar("asked after SIGTERM", f"{count} refused", statuses(found.late), refused == count),
        Bar("until the process ended", f"≤ {BOUND_S} s", f"{max(found.ends):.1f} s", max(found.ends) <= BOUND_S),
        Bar("exit status", f"{count} × 0", _counted(found.codes), not any(found.codes)),
    ]


def _abandoned(found: Found) -> Sequence[Bar]:
    told = sum(answer.code == "draining" for answer in found.answered)
    return [
        Bar(
            "SIGTERM with predictions of 60 s: told to ask another instance",
            f"{len(found.answered)} × 503 draining",
            statuses(found.answered),
            told == len(found.answered) == IN_FLIGHT * len(found.ends),
        ),
        Bar("until the process ended", f"≤ {BOUND_S} s", f"{max(found.ends):.1f} s", max(found.ends) <= BOUND_S),
        Bar("exit status", f"{len(found.ends)} × 0", _counted(found.codes), not any(found.codes)),
    ]


def _is_refusal(answer: Answer) -> bool:
    """Told by us to ask elsewhere, or by the system that nobody is there any more."""
    told = answer.code == "draining" and "retry-after" in answer.headers
    return told or answer.fault.startswith("ConnectionRefusedError")


def _counted(codes: Sequence[int]) -> str:
    return ", ".join(f"{codes.count(code)} × {code}" for code in sorted(set(codes)))
