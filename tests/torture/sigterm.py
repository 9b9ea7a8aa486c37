"""SIGTERM while requests run, on both edges: each is answered, what comes after is refused, the end comes in time."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.running import EDGES, Process
from tests.torture.load import Answer, Connection, asking, once, port_of, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Repetitions, of both edges in turn.
LENGTHS = {"ci": 2, "short": 2, "full": 20}

IN_FLIGHT = 20
#: What the issue allows, of the ten seconds after which the platform ends everything.
BOUND_S = 8.5
#: Where gunicorn's master has to end the worker, it does so 8 s after it has been told, which may take it a moment.
PLATFORM_S = 10
#: So that requests wait for each other, and are not refused.
ROOM = {"THREADS": "64", "MAX_WAITING": "64"}


@dataclass
class Found:
    """What came of all repetitions."""

    answered: list[Answer] = field(default_factory=list)
    late: list[Answer] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    found = Found()
    for number in range(int(LENGTHS[length])):
        edge = list(EDGES)[number % len(EDGES)]
        with place.function("tabular", edge, MODEL_NAME="waiting", **ROOM) as (url, process):
            _warm(port_of(url), "waiting")
            _end(port_of(url), process, asking(value={"data": "wait 0.05"}), found)
    bars = list(_bars(found))
    for what, tried in (("predictions", _predictions), ("streams", _streams), ("loads", _loads)):
        abandoned = Found()
        for edge in list(EDGES) if length == "full" else ["asgi"]:
            tried(place, edge, abandoned)
        bars += _abandoned(what, abandoned)
        if length == "ci":
            return bars
    return [*bars, *_frozen(place)]


def _predictions(place: Place, edge: str, found: Found) -> None:
    with place.function("tabular", edge, MODEL_NAME="waiting", **ROOM) as (url, process):
        _warm(port_of(url), "waiting")
        _end(port_of(url), process, asking(value={"data": "wait 60"}), found)


def _streams(place: Place, edge: str, found: Found) -> None:
    with place.function("tabular", edge, MODEL_NAME="writing", **ROOM) as (url, process):
        _warm(port_of(url), "writing")
        asked = {"data": "wait 0.1 " + "word " * 1000, "parameters": {"stream": True}}
        _end(port_of(url), process, asking(value=asked), found)


def _loads(place: Place, edge: str, found: Found) -> None:
    with place.function("tabular", edge, MODEL_NAME="waiting", WAITING_LOAD_S="60", **ROOM) as (url, process):
        _end(port_of(url), process, asking(value={"data": "wait 0"}), found)


def _frozen(place: Place) -> Sequence[Bar]:
    """A model that holds Python's lock is the limit: nothing is answered, but the end comes before the platform's."""
    found = Found()
    with place.function("tabular", "asgi", MODEL_NAME="waiting", **ROOM) as (url, process):
        _warm(port_of(url), "waiting")
        _end(port_of(url), process, asking(value={"data": "hold 60"}), found, late=False)
    return _ending("with Python's lock held", found, PLATFORM_S)


def _warm(port: int, model: str) -> None:
    assert once(port, asking("/warmup", {"model_name": model})).status == 200


def _end(port: int, process: Process, request: bytes, found: Found, *, late: bool = True) -> None:
    """Ends the process while it answers requests, and asks once more when it has been told.

    Args:
        late: False where nothing can be answered meanwhile.
    """
    asked = threading.Thread(target=lambda: found.answered.extend(asyncio.run(_together(port, request))))
    asked.start()
    time.sleep(0.5)
    if late:
        # On a busy machine it may not have read them yet: who asks behind them is answered no sooner.
        assert once(port, asking("/health", method="GET")).status == 200
    told = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    if late:
        _until_told(process)
        found.late.append(once(port, request))
    found.codes.append(process.process.wait(30))
    found.ends.append(time.monotonic() - told)
    asked.join()


def _until_told(process: Process) -> None:
    """Until the signal has come through gunicorn's master."""
    began = time.monotonic()
    while not any("ends once" in line for line in process.lines):
        assert time.monotonic() < began + 5, "the worker was not told to end"
        time.sleep(0.01)


async def _together(port: int, request: bytes) -> list[Answer]:
    async def ask(number: int) -> Answer:
        async with Connection(port) as connection:
            return await connection.ask(request, number)

    return await asyncio.gather(*(ask(number) for number in range(IN_FLIGHT)))


def _bars(found: Found) -> Sequence[Bar]:
    count = len(found.ends)
    return [
        _counted(
            f"SIGTERM with {IN_FLIGHT} requests in flight, {count} times",
            f"{IN_FLIGHT * count} × 200",
            found.answered,
            lambda answer: answer.status == 200,
        ),
        _refused(found),
        *_ending("", found),
    ]


def _abandoned(what: str, found: Found) -> Sequence[Bar]:
    count = IN_FLIGHT * len(found.ends)
    return [
        _counted(f"SIGTERM with {what} of a minute", f"{count} × draining, told in full", found.answered, _is_told),
        _refused(found),
        *_ending("", found),
    ]


def _refused(found: Found) -> Bar:
    return _counted("asked after SIGTERM", f"{len(found.ends)} refused", found.late, _is_refused)


def _ending(what: str, found: Found, bound_s: float = BOUND_S) -> Sequence[Bar]:
    latest, codes = max(found.ends), sorted(set(found.codes))
    return [
        Bar(f"until the process ended {what}".strip(), f"≤ {bound_s} s", f"{latest:.1f} s", latest <= bound_s),
        Bar("its exit status", "0", ", ".join(map(str, codes)), codes == [0]),
    ]


def _counted(what: str, bound: str, answers: Sequence[Answer], is_good: Callable[[Answer], bool]) -> Bar:
    return Bar(what, bound, statuses(answers), bool(answers) and all(is_good(answer) for answer in answers))


def _is_told(answer: Answer) -> bool:
    """A refusal, or for a stream that has begun its last event; all of it, and properly ended."""
    return not answer.fault and (answer.code == "draining" or b'"draining"' in answer.body)


def _is_refused(answer: Answer) -> bool:
    """Told by us to ask elsewhere, or by the system that nobody is there any more."""
    told = answer.code == "draining" and "retry-after" in answer.headers
    return told or answer.fault.startswith("ConnectionRefusedError")
