"""What each server is put through besides the corpus: a herd, an overload, an end."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.torture.load import Answer, Connection, asking, at_rate, closed, meanwhile, once, quantile, statuses
from tests.torture.peers.servers import NOTHING, Running

#: Callers of a cold server at once, and how many of them do not wait for it.
HERD, HANG_UP = 200, 150
HANG_UP_S = 0.5

#: How long the model takes for an answer; it gives one at a time.
WORK = {"data": "wait 0.02"}
ALONE_S, OVERLOAD_S = 4.0, 5.0
TIMES = 8
#: An answer that comes later helps nobody.
USEFUL_S = 1.0
RECOVERY_S = 40.0

IN_FLIGHT = 20
LONG = {"data": "wait 0.2"}
#: After SIGTERM, when the platform ends everything.
KILLED_S = 10.0


@dataclass
class Herd:
    """Of those that waited."""

    answered: int
    seconds: float
    statuses: str


def herd(running: Running) -> Herd:
    """Asks a server that has just begun to listen."""
    running.wait_for_port()
    began = time.monotonic()
    answers = asyncio.run(_stampede(running.port))
    answered = sum(answer.status == 200 for answer in answers)
    return Herd(answered, time.monotonic() - began, statuses(answers))


async def _stampede(port: int) -> list[Answer]:
    """The answers of those that do not hang up."""

    async def wait() -> Answer:
        async with Connection(port) as connection:
            return await connection.ask(asking(value=NOTHING))

    async def hang_up() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                await wait()

    async with asyncio.TaskGroup() as callers:
        for _ in range(HANG_UP):
            callers.create_task(hang_up())
        patient = [callers.create_task(wait()) for _ in range(HERD - HANG_UP)]
    return [caller.result() for caller in patient]


@dataclass
class Overload:
    """What came of eight times what the server can do.

    Args:
        goodput: useful answers, as a share of those at its own pace.
        refused: told to come later, with when.
        late: answered, when nobody waited any more.
        recovered: seconds after the last request until one is answered as quickly as before; None: not in time.
    """

    goodput: float
    refused: int
    refused_p99: float
    late: int
    failed: int
    recovered: float | None


def overload(running: Running) -> Overload:
    running.wait()
    work = asking(value=WORK)
    own = asyncio.run(closed(running.port, lambda _: work, clients=4, seconds=ALONE_S))
    pace = sum(answer.status == 200 for answer in own) / ALONE_S
    usual = quantile(answer.seconds for answer in own)
    with meanwhile(at_rate(running.port, lambda _: work, TIMES * pace, OVERLOAD_S)) as load:
        time.sleep(OVERLOAD_S)
        recovered = _recovered(running.port, work, usual)
    answers = load.result()
    useful = sum(answer.status == 200 and answer.seconds <= USEFUL_S for answer in answers)
    refusals = [answer for answer in answers if answer.refused]
    return Overload(
        useful / OVERLOAD_S / pace,
        len(refusals),
        quantile(answer.seconds for answer in refusals),
        sum(answer.status == 200 and answer.seconds > USEFUL_S for answer in answers),
        sum(answer.status != 200 and not answer.refused for answer in answers),
        recovered,
    )


def _recovered(port: int, work: bytes, usual: float) -> float | None:
    began = time.monotonic()
    while time.monotonic() < began + RECOVERY_S:
        sent = time.monotonic()
        answer = once(port, work)
        if answer.status == 200 and answer.seconds <= 2 * usual:
            return sent - began
        time.sleep(0.1)
    return None


@dataclass
class Drain:
    """What came of SIGTERM.

    Args:
        seconds: until the process ended; None: it did not until it was killed.
        late: what a request got that came a second after.
    """

    answered: int
    late: str
    seconds: float | None
    status: int | None


def drain(running: Running) -> Drain:
    """Args: running: contained, as the platform has it."""
    running.wait()
    answers: list[Answer] = []
    asked = threading.Thread(target=lambda: answers.extend(asyncio.run(_together(running.port))))
    asked.start()
    time.sleep(0.5)
    told = time.monotonic()
    os.kill(running.first, signal.SIGTERM)
    late: list[Answer] = []
    asks = threading.Thread(target=lambda: late.append(_asked_late(running.port)))
    asks.start()
    seconds: float | None = None
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(KILLED_S)
        seconds = time.monotonic() - told
    running.end()
    asked.join()
    asks.join()
    status = running.process.returncode if seconds is not None else None
    return Drain(sum(answer.status == 200 for answer in answers), _said(late[0]), seconds, status)


def _asked_late(port: int) -> Answer:
    time.sleep(1)
    return once(port, asking(value=NOTHING))


def _said(answer: Answer) -> str:
    return str(answer.status) if answer.status else "none"


async def _together(port: int) -> list[Answer]:
    async def ask() -> Answer:
        async with Connection(port) as connection:
            return await connection.ask(asking(value=LONG))

    return await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
