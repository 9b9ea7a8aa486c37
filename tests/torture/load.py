"""Load over kept connections: so many callers at once, or so many requests a second whatever becomes of them.

``asyncio.run(closed(port, ask, clients=8, seconds=20))`` gives every answer, in the order in which they came.
"""

import asyncio
import gc
import json
import math
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self, TypeVar

T = TypeVar("T")

#: What has not been answered by then never is.
PATIENCE_S = 60.0
_HOST = "127.0.0.1"


class Answer(NamedTuple):
    """What became of a request.

    Args:
        number: the request's, from 0 on.
        meant: when it was meant to be sent, by ``time.perf_counter``.
        seconds: from then until its answer was complete.
        status: 0 where no whole answer came; ``fault`` says why.
        headers: by lower-case name.
    """

    number: int
    meant: float
    seconds: float
    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""

    @property
    def ended(self) -> float:
        return self.meant + self.seconds

    @property
    def code(self) -> str:
        """The error's."""
        return self.headers.get("x-error-code", "")

    @property
    def refused(self) -> bool:
        """Whether it was told to come back later."""
        return self.status in (429, 503)

    def json(self) -> Any:
        return json.loads(self.body)


#: The bytes of the request of a number.
Ask = Callable[[int], bytes]


def asking(path: str = "/predict", value: Any = None, method: str = "POST", **headers: str) -> bytes:
    """A request with a JSON body, or without one where the value is None.

    Args:
        headers: with ``_`` for ``-``.
    """
    body = b"" if value is None else json.dumps(value).encode()
    lines = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if value is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def closed(
    port: int, ask: Ask, clients: int, seconds: float, *, pause_s: float = 0.0, think_s: float = 0.0
) -> list[Answer]:
    """So many callers, each of whom asks again as soon as it has its answer.

    Args:
        pause_s: that a caller waits once it was refused.
        think_s: that it waits once it was served.
    """
    answers = list[Answer]()
    until = time.perf_counter() + seconds
    numbers = iter(range(10**12))

    async def client() -> None:
        async with Connection(port) as connection:
            while time.perf_counter() < until:
                number = next(numbers)
                answer = await connection.ask(ask(number), number)
                answers.append(answer)
                wait_s = pause_s if answer.refused or not answer.status else think_s
                if wait_s:
                    await asyncio.sleep(wait_s)

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def at_rate(port: int, ask: Ask, per_second: float, seconds: float) -> list[Answer]:
    """So many requests a second, evenly: each at its moment, however many are not answered yet. The time of one that
    is sent late counts from that moment on.
    """
    answers = list[Answer]()
    idle = list[Connection]()
    everyone = list[Connection]()
    began = time.perf_counter()

    async def send(number: int, meant: float) -> None:
        if idle:
            connection = idle.pop()
        else:
            connection = Connection(port)
            everyone.append(connection)
        answers.append(await connection.ask(ask(number), number, meant))
        idle.append(connection)

    async with asyncio.TaskGroup() as sent:
        for number in range(round(per_second * seconds)):
            meant = began + number / per_second
            await asyncio.sleep(max(0.0, meant - time.perf_counter()))
            sent.create_task(send(number, meant))
    for connection in everyone:
        connection.close()
    return answers


def elsewhere(load: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Runs the load in a process of its own, which does nothing else: this one reads what the function logs.

    Args:
        load: a function of a module.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, load, arguments).result()


def _run(load: Callable[..., Coroutine[Any, Any, T]], arguments: tuple[Any, ...]) -> T:
    # To collect what only grows would take the longer, the longer the load is.
    gc.disable()
    return asyncio.run(load(*arguments))


@contextmanager
def meanwhile(load: Coroutine[Any, Any, list[Answer]]) -> Iterator[Future[list[Answer]]]:
    """Runs the load in a thread of its own; at the end of the block it is waited for, and its answers are there."""
    found = Future[list[Answer]]()

    def run() -> None:
        try:
            found.set_result(asyncio.run(load))
        except BaseException as exc:  # noqa: BLE001 - raised to who asks for the answers
            found.set_exception(exc)

    thread = threading.Thread(target=run, name="load", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        thread.join()


class Connection(asyncio.Protocol):
    """One caller's, which is made when it is first needed, and again after the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._received = bytearray()
        self._ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def connect(self) -> None:
        if self._ended or self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_connection(lambda: self, _HOST, self._port)
            self._ended = False

    async def ask(self, request: bytes, number: int = 0, meant: float | None = None) -> Answer:
        """Sends the request and waits for its whole answer, at most PATIENCE_S.

        Args:
            meant: None: now.
        """
        meant = time.perf_counter() if meant is None else meant
        status, headers, body, fault = 0, dict[str, str](), b"", ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, headers, body = await self._exchange(request)
        except (OSError, EOFError, ValueError) as exc:
            fault = f"{type(exc).__name__}: {exc}"
            self.close()
        return Answer(number, meant, time.perf_counter() - meant, status, headers, body, fault)

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        kept = not self._ended
        await self.connect()
        assert self._transport is not None
        self._received.clear()
        self._transport.write(request)
        head = await self._until(b"\r\n\r\n")
        if head is None and kept:
            # The server closed a connection that had nothing to do: what it never read is sent again.
            return await self._exchange(request)
        if head is None:
            raise EOFError("the server hung up without an answer")
        status, headers = _head(head)
        if status == 100:
            raise ValueError("the server asks for more of the body")
        body = await self._body(status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
            self._ended = True
        return status, headers, body

    async def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status == 204:
            return b""
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            while await self._more():
                pass
            return bytes(self._received)
        body = bytearray()
        while (size := int(await self._line(), 16)) > 0:
            body += await self._exactly(size)
            await self._line()
        await self._line()
        return bytes(body)

    async def _line(self) -> bytes:
        line = await self._until(b"\r\n")
        if line is None:
            raise EOFError("the server hung up in the middle of its answer")
        return line

    async def _until(self, mark: bytes) -> bytes | None:
        """What comes before the mark, which is dropped; None where it never comes and nothing else did."""
        while (end := self._received.find(mark)) < 0:
            if not await self._more():
                if not self._received:
                    return None
                raise EOFError("the server hung up in the middle of its answer")
        taken = bytes(self._received[:end])
        del self._received[: end + len(mark)]
        return taken

    async def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            if not await self._more():
                raise EOFError("the server hung up in the middle of its answer")
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _more(self) -> bool:
        """Waits for more bytes; whether any came."""
        if self._ended:
            return False
        before = len(self._received)
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting
        return len(self._received) > before

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict[str, str]()
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(first.split()[1]), headers


def once(port: int, request: bytes) -> Answer:
    """One request's answer, over a connection of its own."""

    async def ask() -> Answer:
        async with Connection(port) as connection:
            return await connection.ask(request)

    return asyncio.run(ask())


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def quantile(seconds: Iterable[float], share: float = 0.99) -> float:
    """The value that this share does not exceed; 0 where there is none."""
    ordered = sorted(seconds)
    with suppress(IndexError):
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
    return 0.0


def statuses(answers: Iterable[Answer]) -> str:
    """How many of each, as ``1200 × 200, 3 × 503 overloaded``."""
    counted = Counter(f"{answer.status or answer.fault} {answer.code}".strip() for answer in answers)
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(counted.items())) or "none"
