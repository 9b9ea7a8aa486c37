"""One load on one running contender, and its figures."""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import percentile
from tests.benchmarks.memory import tree_megabytes
from tests.benchmarks.warm.arrivals import poisson
from tests.benchmarks.warm.client import Client, Exchange
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.judging import TOLERANCE, Verdict, judged
from tests.benchmarks.warm.processes import tree_cpu_seconds
from tests.benchmarks.warm.protocols import Protocol

#: An open loop's share of what the contender can do.
SHARE = 0.8
#: At least so long until the window opens: a server's own batching settles meanwhile.
RAMP_S = 0.5
_SEED = 7


@dataclass(frozen=True)
class Load:
    """What is asked, and by how many.

    Args:
        kind: of the items.
        clients: of a closed loop; 0 for the open one.
    """

    kind: str
    clients: int

    @property
    def name(self) -> str:
        how = f"{self.clients} client{'s' if self.clients > 1 else ''}" if self.clients else "open loop"
        return f"{self.kind}, {how}"


@dataclass(frozen=True)
class Run:
    """The figures of one load, over the window in which it was steady.

    Args:
        rate: good answers a second.
        p50, p99: seconds of the admitted requests.
        cpu_s: of the server, for an answer.
        client_cpu: the load's own share of one core.
        megabytes: the most that was seen of the server's.
    """

    rate: float
    p50: float | None
    p99: float | None
    cpu_s: float
    client_cpu: float
    megabytes: float
    verdict: Verdict


@dataclass(frozen=True)
class Target:
    """A running server.

    Args:
        pid: of its first process.
    """

    port: int
    pid: int
    protocol: Protocol
    precision: str


class _Window:
    """From the moment when every client has had an answer, for some seconds."""

    def __init__(self, pid: int, clients: int, seconds: float) -> None:
        self._pid, self._clients, self._seconds = pid, clients, seconds
        self._began = time.perf_counter()
        self._opened: tuple[int, float] | None = None
        self.meter = _Meter(pid)

    def is_over(self, exchanges: list[Exchange]) -> bool:
        now = exchanges[-1].ended
        if self._opened is None:
            if len(exchanges) >= self._clients and now - self._began >= RAMP_S:
                self._opened = (len(exchanges), now)
                self.meter = _Meter(self._pid)
            return False
        return now - self._opened[1] >= self._seconds

    def exchanges(self, exchanges: list[Exchange]) -> tuple[list[Exchange], float]:
        """Those within it, and how long it was."""
        assert self._opened is not None
        first, began = self._opened
        return exchanges[first:], exchanges[-1].ended - began


class _Meter:
    """What the server and the load have used since now."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._megabytes = tree_megabytes(pid)
        self._began, self._own, self._server = time.perf_counter(), time.process_time(), tree_cpu_seconds(pid)

    def read(self) -> tuple[float, float, float]:
        """CPU seconds of the server, the share of one core of the load, and megabytes."""
        server, own = tree_cpu_seconds(self._pid) - self._server, time.process_time() - self._own
        share = own / (time.perf_counter() - self._began)
        return server, share, max(self._megabytes, tree_megabytes(self._pid))


def closed(target: Target, items: Sequence[Item], clients: int, seconds: float) -> Run:
    client = Client(target.port, [target.protocol.request(item) for item in items], order(len(items)))
    window = _Window(target.pid, clients, seconds)
    try:
        client.closed(clients, window.is_over)
        used = window.meter.read()
    finally:
        client.close()
    exchanges, lasted = window.exchanges(client.exchanges)
    return _run(target, items, exchanges, lasted, used)


def opened(target: Target, items: Sequence[Item], rate: float, seconds: float) -> Run:
    """Args: the requests a second that come."""
    client = Client(target.port, [target.protocol.request(item) for item in items], order(len(items)))
    meter = _Meter(target.pid)
    began = time.perf_counter()
    try:
        client.open(poisson(rate, seconds))
        used = meter.read()
    finally:
        client.close()
    return _run(target, items, client.exchanges, time.perf_counter() - began, used)


def order(count: int) -> Iterator[int]:
    """All places, shuffled, over and over; the same order for everybody."""
    places = list(range(count))
    random.Random(_SEED).shuffle(places)
    return itertools.cycle(places)


def _run(
    target: Target,
    items: Sequence[Item],
    exchanges: Sequence[Exchange],
    lasted: float,
    used: tuple[float, float, float],
) -> Run:
    verdict = judged(exchanges, items, target.protocol, TOLERANCE[target.precision])
    admitted = [one.seconds for one in exchanges if one.status == 200]
    server, own, megabytes = used
    return Run(
        rate=verdict.right / lasted,
        p50=percentile(admitted, 0.5),
        p99=percentile(admitted, 0.99),
        cpu_s=server / max(1, verdict.right),
        client_cpu=own,
        megabytes=megabytes,
        verdict=verdict,
    )
