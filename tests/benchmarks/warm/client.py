"""The load: one process, one thread, raw sockets and epoll, since it runs on the server's own cores.

Requests are written out beforehand and answers are kept as they come: nothing is parsed while the load lasts.
"""

import contextlib
import heapq
import itertools
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: Answers may come late; one that has not come by then never does.
PATIENCE_S = 60.0
#: Connections of an open loop; a request that finds all of them busy waits, and its time counts.
CONNECTIONS = 256
_CHUNK = 65536


class Exchange(NamedTuple):
    """A request and its answer.

    Args:
        item: the request's place in the list.
        intended: when it was meant to be sent.
        ended: when its answer was complete.
        status: 0 where the server hung up instead.
        retry_after: seconds that the answer asked for; None where it asked for none.
    """

    item: int
    intended: float
    ended: float
    status: int
    body: bytes
    retry_after: float | None

    @property
    def seconds(self) -> float:
        return self.ended - self.intended

    @property
    def refused(self) -> bool:
        return self.status == 503 and self.retry_after is not None


class Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: float | None
    closes: bool


def parsed(data: bytes) -> Answer | None:
    """The answer, once it is complete. Raises ValueError for one that does not tell its length."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    length = _field(head, b"content-length")
    if length is None:
        raise ValueError(f"the answer does not tell its length: {data[:200]!r}")
    if len(data) < end + 4 + int(length):
        return None
    after = _field(head, b"retry-after")
    closes = _field(head, b"connection") == b"close"
    return Answer(int(data[9:12]), data[end + 4 :], None if after is None else float(after), closes)


def _field(head: bytes, name: bytes) -> bytes | None:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


@dataclass
class _Connection:
    """One client's, and what it is waiting for."""

    socket: socket.socket
    item: int = 0
    intended: float = 0.0
    received: bytes = b""
    waiting: bool = False


class Client:
    """Sends requests until it is told to stop.

    Args:
        requests: whole HTTP requests.
        order: places in them, without end.
    """

    def __init__(self, port: int, requests: Sequence[bytes], order: Iterable[int]) -> None:
        self.exchanges: list[Exchange] = []
        self._port = port
        self._requests = requests
        self._order = iter(order)
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        #: (when, tie breaker, item, connection): requests that were refused and wait as they were asked to.
        self._later: list[tuple[float, int, int, _Connection | None]] = []
        self._count = itertools.count()

    def closed(self, clients: int, until: Callable[[list[Exchange]], bool]) -> None:
        """So many callers, each of whom sends its next request when it has its answer.

        Args:
            until: asked after each answer whether it is enough.
        """
        stopping = False
        for _ in range(clients):
            self._send(self._connected(), next(self._order), time.perf_counter())
        while not stopping:
            for connection, exchange in self._answers():
                if exchange.refused:
                    self._postpone(exchange, connection)
                else:
                    self._send(connection, next(self._order), time.perf_counter())
                stopping = stopping or until(self.exchanges)
            for item, intended, own in self._due():
                assert own is not None
                self._send(own, item, intended)

    def open(self, moments: Sequence[float]) -> None:
        """Requests at given moments, whether or not earlier ones are answered; it ends when all of them are.

        Args:
            moments: seconds from now, ascending.
        """
        began = time.perf_counter()
        coming = deque(began + moment for moment in moments)
        queued: deque[tuple[int, float]] = deque()
        idle: list[_Connection] = []
        pending = len(coming)
        while pending:
            # A moment that has come is sent with that moment, however late this is.
            while coming and coming[0] <= time.perf_counter():
                queued.append((next(self._order), coming.popleft()))
            queued.extend((item, intended) for item, intended, _ in self._due())
            while queued and (idle or len(self._connections) < CONNECTIONS):
                self._send(idle.pop() if idle else self._connected(), *queued.popleft())
            for connection, exchange in self._answers(coming[0] if coming else None):
                idle.append(connection)
                if exchange.refused:
                    self._postpone(exchange, None)
                else:
                    pending -= 1

    def close(self) -> None:
        self._poll.close()
        for connection in self._connections.values():
            connection.socket.close()

    def _connected(self) -> _Connection:
        connection = _Connection(self._socket())
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _socket(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _send(self, connection: _Connection, item: int, intended: float) -> None:
        connection.item, connection.intended, connection.received = item, intended, b""
        connection.waiting = True
        try:
            connection.socket.sendall(self._requests[item])
        except (BrokenPipeError, ConnectionResetError):
            # An idle connection that the server has closed: what it never read is sent again.
            self._reconnect(connection)
            connection.socket.sendall(self._requests[item])

    def _reconnect(self, connection: _Connection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        connection.socket = self._socket()
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)

    def _answers(self, wake: float | None = None) -> Iterable[tuple[_Connection, Exchange]]:
        """What is complete now; waits for something to happen, at most until the moment.

        Raises TimeoutError when nothing happens for long.
        """
        moments = [moment for moment in (wake, self._later[0][0] if self._later else None) if moment is not None]
        timeout = max(0.0, min(moments) - time.perf_counter()) if moments else PATIENCE_S
        events = self._poll.poll(timeout)
        if not events and not moments:
            raise TimeoutError(f"no answer for {PATIENCE_S:.0f} seconds")
        for number, _ in events:
            connection = self._connections[number]
            exchange = self._received(connection)
            if exchange is not None:
                self.exchanges.append(exchange)
                yield connection, exchange

    def _received(self, connection: _Connection) -> Exchange | None:
        data = b""
        with contextlib.suppress(ConnectionResetError):
            data = connection.socket.recv(_CHUNK)
        if not data:
            return self._hung_up(connection)
        connection.received = connection.received + data if connection.received else data
        answer = parsed(connection.received)
        if answer is None:
            return None
        connection.waiting = False
        if answer.closes:
            self._reconnect(connection)
        return Exchange(
            connection.item, connection.intended, time.perf_counter(), answer.status, answer.body, answer.retry_after
        )

    def _hung_up(self, connection: _Connection) -> Exchange | None:
        """A server may close an idle connection; one that owes an answer has failed."""
        owed = connection.waiting
        connection.waiting = False
        self._reconnect(connection)
        if not owed:
            return None
        return Exchange(connection.item, connection.intended, time.perf_counter(), 0, b"", None)

    def _postpone(self, exchange: Exchange, connection: _Connection | None) -> None:
        due = exchange.ended + (exchange.retry_after or 0.0)
        heapq.heappush(self._later, (due, next(self._count), exchange.item, connection))

    def _due(self) -> Iterable[tuple[int, float, _Connection | None]]:
        """Refused requests whose time has come: the item, when it was to be sent again, and by whom."""
        while self._later and self._later[0][0] <= time.perf_counter():
            due, _, item, connection = heapq.heappop(self._later)
            yield item, due, connection
