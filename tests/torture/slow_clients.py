"""Clients that send or read slowly, or not at all, and many that hang up: the others must not notice.

Google's front end takes a request in before it passes it on, and an answer off our hands, so that little of this
reaches a function that is deployed. Flask's server gives each connection with half a request a thread for as long as
it stays, so that what is demanded of it is to be there again when they have left.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence

from tests.torture.load import Answer, asking, closed, elsewhere, port_of, quantile, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Seconds that the slow ones stay.
LENGTHS = {"short": 4, "full": 30}

#: Connections that say nothing, that stop within their headers, that send a byte of their body a second, and that read
#: nothing of a large answer.
SILENT, HALF, TRICKLING, NOT_READING = 70, 70, 40, 20
STORM = 500
HEALTHY = 4
#: Between two requests of a healthy client, so that it is not its own load that is measured.
PAUSE_S = 0.01

_ASKED = asking(value={"data": "wait 0"})
_LARGE = asking(value={"data": ["say " + "x" * 90_000] * 40})


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_waiting(place)
    seconds = LENGTHS[length]
    with place.function("tabular", "asgi", MODEL_NAME="waiting", THREADS="64") as (url, _):
        bars = [*elsewhere(_beside, port_of(url), seconds), *elsewhere(_storm, port_of(url), seconds)]
    with place.function("tabular", "flask", MODEL_NAME="waiting", THREADS="64") as (url, _):
        return [*bars, *elsewhere(_behind, port_of(url))]


async def _beside(port: int, seconds: float) -> Sequence[Bar]:
    """How healthy clients fare alone, before and after, and beside the slow ones."""
    await _healthy(port, 1.0)
    alone = await _healthy(port, seconds / 2)
    slow = await _slow_clients(port)
    beside = await _healthy(port, seconds)
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    alone += await _healthy(port, seconds / 2)
    usual, p99 = quantile(answer.seconds for answer in alone), quantile(answer.seconds for answer in beside)
    others = [answer for answer in beside if answer.status != 200]
    return [
        Bar(
            f"p99 of healthy clients beside {len(slow)} slow ones",
            "≤ 3 ×",
            f"{p99 / usual:.2f} × {usual * 1000:.1f} ms",
            p99 <= 3 * usual,
        ),
        Bar("their requests that failed", "none", statuses(others), not others),
    ]


async def _storm(port: int, seconds: float) -> Sequence[Bar]:
    """Many who ask for something that takes long, and hang up."""
    before = await _healthy(port, seconds)
    await asyncio.gather(*(_hang_up(port, 0.05) for _ in range(STORM)))
    await asyncio.sleep(2)
    after = await _healthy(port, seconds)
    share = len(after) / len(before)
    others = [answer for answer in after if answer.status != 200]
    return [
        Bar(f"goodput 2 s after {STORM} hung up", "≥ 90 %", f"{share:.0%}", share >= 0.9),
        Bar("requests that failed then", "none", statuses(others), not others),
    ]


async def _behind(port: int) -> Sequence[Bar]:
    """How long until Flask's server answers again, when the slow ones have left."""
    await _healthy(port, 0.5)
    slow = await _slow_clients(port)
    await asyncio.sleep(1)
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    left = time.perf_counter()
    [first, *_] = await closed(port, lambda _: _ASKED, 1, 0.5)
    found = f"{first.status} in {first.ended - left:.2f} s"
    return [
        Bar("Flask, when the slow ones have left", "200 in ≤ 1 s", found, first.status == 200 and first.seconds <= 1)
    ]


async def _healthy(port: int, seconds: float) -> list[Answer]:
    return await closed(port, lambda _: _ASKED, HEALTHY, seconds, think_s=PAUSE_S)


async def _slow_clients(port: int) -> list[asyncio.Task[None]]:
    head, _, body = _ASKED.partition(b"\r\n\r\n")
    slow = [_stay(port, b"", 0) for _ in range(SILENT)]
    slow += [_stay(port, _ASKED[: 20 + number % 60], 0) for number in range(HALF)]
    slow += [_stay(port, head + b"\r\n\r\n", 1, body) for _ in range(TRICKLING)]
    slow += [_stay(port, _LARGE, 0) for _ in range(NOT_READING)]
    tasks = [asyncio.create_task(one) for one in slow]
    await asyncio.sleep(1)
    return tasks


async def _stay(port: int, said: bytes, pause_s: float, rest: bytes = b"") -> None:
    """Says something, then a byte of the rest from time to time, and reads nothing."""
    connection = await _connected(port)
    loop = asyncio.get_running_loop()
    with connection, contextlib.suppress(ConnectionError):
        await loop.sock_sendall(connection, said)
        for number in range(len(rest) - 1):
            await asyncio.sleep(pause_s)
            await loop.sock_sendall(connection, rest[number : number + 1])
        await asyncio.Event().wait()


async def _hang_up(port: int, seconds: float) -> None:
    connection = await _connected(port)
    with connection, contextlib.suppress(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(connection, asking(value={"data": "wait 0.2"}))
        await asyncio.sleep(seconds)


async def _connected(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    # Little of an answer is taken by the system for whoever does not read it.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection
