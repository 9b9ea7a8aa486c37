"""One load on one running contender, and its figures."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
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
#: Multiples of it, without their whole parts, fill every interval evenly.
_GOLDEN = (5**0.5 - 1) / 2


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


class Window:
    """Opens when every client has had an answer, and lasts some seconds; or until there is one answer in it."""

    def __init__(self, clients: int, seconds: float, opens: Callable[[], None] = lambda: None) -> None:
        self._clients, self._seconds, self._opens = clients, seconds, opens
        self.first, self._opened = 0, 0.0
        self._began = time.perf_counter()

    def is_over(self, exchanges: list[Exchange]) -> bool:
        now = exchanges[-1].ended
        if self.first:
            return now - self._opened >= self._seconds
        if len(exchanges) >= self._clients and now - self._began >= RAMP_S:
            self.first, self._opened = len(exchanges), now
            self._opens()
        return False

    def within(self, exchanges: list[Exchange]) -> tuple[list[Exchange], float]:
        """Those in it, and the seconds until the last of them: batches end together, and only whole ones count."""
        after = exchanges[self.first :]
        found = [one for one in after if one.ended - self._opened <= self._seconds] or after[:1]
        return found, found[-1].ended - self._opened


class _Meter:
    """What the server and the load have used since the start."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._megabytes = tree_megabytes(pid)
        self.start()

    def start(self) -> None:
        self._began, self._own, self._server = time.perf_counter(), time.process_time(), tree_cpu_seconds(self._pid)

    def read(self) -> tuple[float, float, float]:
        """CPU seconds of the server, the share of one core of the load, and megabytes."""
        server, own = tree_cpu_seconds(self._pid) - self._server, time.process_time() - self._own
        share = own / (time.perf_counter() - self._began)
        return server, share, max(self._megabytes, tree_megabytes(self._pid))


def closed(target: Target, items: Sequence[Item], clients: int, seconds: float) -> Run:
    client = Client(target.port, [target.protocol.request(item) for item in items], order(items))
    meter = _Meter(target.pid)
    window = Window(clients, seconds, meter.start)
    try:
        client.closed(clients, window.is_over)
        used = meter.read()
    finally:
        client.close()
    exchanges, lasted = window.within(client.exchanges)
    answered = len(client.exchanges) - window.first
    return _run(target, items, exchanges, lasted, used, answered)


def opened(target: Target, items: Sequence[Item], rate: float, seconds: float) -> Run:
    """Args: the requests a second that come."""
    client = Client(target.port, [target.protocol.request(item) for item in items], order(items))
    meter = _Meter(target.pid)
    began = time.perf_counter()
    try:
        client.open(poisson(rate, seconds))
        used = meter.read()
    finally:
        client.close()
    return _run(target, items, client.exchanges, time.perf_counter() - began, used, len(client.exchanges))


def order(items: Sequence[Item]) -> Iterator[int]:
    """All places over and over, the same for everybody: any stretch of it has the long and the short in their shares,
    or who answers more in the window would be asked other texts.
    """
    by_length = sorted(range(len(items)), key=lambda place: len(str(items[place].data)))
    fractions = ((number * _GOLDEN) % 1 for number in itertools.count())
    return (by_length[int(fraction * len(items))] for fraction in fractions)


def _run(
    target: Target,
    items: Sequence[Item],
    exchanges: Sequence[Exchange],
    lasted: float,
    used: tuple[float, float, float],
    answered: int,
) -> Run:
    """Args: how many answers the server used its processor for."""
    verdict = judged(exchanges, items, target.protocol, TOLERANCE[target.precision])
    admitted = [one.seconds for one in exchanges if one.status == 200]
    server, own, megabytes = used
    return Run(
        rate=verdict.right / lasted,
        p50=percentile(admitted, 0.5),
        p99=percentile(admitted, 0.99),
        cpu_s=server / max(1, answered),
        client_cpu=own,
        megabytes=megabytes,
        verdict=verdict,
    )
