"""A function under much traffic, step by step: requests are a flow, instances are whole.

What a step brings and what the instances can do is exact; the backlog between the two tells how long a request waits.
Where there is none, it waits as in a queue before all instances together (Erlang C, with the answers' own variance).
Good where several instances work: below that, a request comes or does not, and deploy/cloud/scaling/events.py tells.
How far the two are apart where both can run is held by tests/deploy/cloud/scaling/test_flow.py.
"""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, pdtr

from deploy.cloud.costs import billed
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Outcome, Seconds
from deploy.cloud.scaling.platform import WINDOW_S, Platform
from deploy.cloud.scaling.trace import MINUTE_S

STEP_S = 0.5

#: Instances that are started together become ready in so many groups.
GROUPS = 8

#: A queue's tail is summed at so many waits, the longest of them in seconds; answers are so many different ones.
WAITS, LONGEST_S, ANSWERS = 400, 600.0, 50

#: Steps after the last request until all are answered or refused.
_DRAIN = 100_000


def simulated(counts: Seconds, service: Service, platform: Platform, there: int = 0, seed: int = 0) -> Outcome:
    """The outcome of so many requests in each step.

    Args:
        there: instances that are ready at the beginning.
    """
    run = _Run(service, platform, np.random.default_rng(seed), platform.beginning(there))
    for number in counts.tolist():
        run.step(number)
    seconds = len(counts) * STEP_S
    lived, paid, kept_paid = run.lived, run.paid, run.kept_paid
    while run.backlog > 1e-6 and len(run.came) < len(counts) + _DRAIN:
        run.step(0.0)
    latencies, weights = _latencies(run, service)
    requests = float(counts.sum())
    return Outcome(
        seconds=seconds,
        requests=requests,
        refused=sum(run.refused),
        cold=run.cold,
        starts=run.starts,
        latencies=latencies,
        weights=weights,
        mean_instances=lived / seconds,
        most_instances=run.most,
        active_s=paid,
        kept_s=platform.least * seconds - kept_paid,
        pings=0,
    )


@dataclass
class _Run:
    """Instances by number alone; lists have an entry a step.

    Args:
        backlog: requests that are not worked on yet.
        starting: when how many become ready.
        needed: instances that were used at a time; older entries are larger.
    """

    service: Service
    platform: Platform
    draw: np.random.Generator
    ready: int
    backlog: float = 0.0
    starts: int = 0
    most: int = 0
    cold: float = 0.0
    lived: float = 0.0
    paid: float = 0.0
    kept_paid: float = 0.0
    now: float = 0.0
    came: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    ready_s: list[int] = field(default_factory=list)
    starting: list[tuple[float, int]] = field(default_factory=list)
    needed: deque[tuple[float, int]] = field(default_factory=deque)
    looks: deque[tuple[float, float]] = field(default_factory=lambda: deque([(0.0, 0.0)]))

    def __post_init__(self) -> None:
        self.most = self.ready
        self.held_s = self.platform.held_s(self.service)
        self.worked = 0.0
        self.next_look = self.platform.look_s
        self.alone_s = billed(self.service.mean_warm)

    def step(self, number: float) -> None:
        self._get_ready()
        capacity = self.ready * STEP_S / self.service.work
        done = min(self.backlog + number, capacity)
        self.backlog += number - done
        self.worked += done * self.service.work
        self.came.append(number)
        self.done.append(done)
        self.ready_s.append(self.ready)
        self.now += STEP_S
        self._account(number)
        self._start_for(self.backlog - self.ready * self.platform.concurrency)
        self.refused.append(self._refuse())
        self._note_use(number)
        if self.now >= self.next_look:
            self.next_look += self.platform.look_s
            self._look()

    def _account(self, number: float) -> None:
        starting = sum(some for _, some in self.starting)
        self.lived += (self.ready + starting) * STEP_S
        # A request pays for the tenth of a second that it begins, unless another has paid for it on the same instance.
        each = number / STEP_S * self.alone_s
        busy = self.ready * -math.expm1(-each / self.ready) if self.ready else 0.0
        busy = self.ready if self.backlog > 0 else busy
        self.paid += (starting + busy) * STEP_S
        # The oldest are asked first.
        self.kept_paid += min(self.platform.least, busy) * STEP_S

    def _get_ready(self) -> None:
        still = [(when, some) for when, some in self.starting if when > self.now]
        got = sum(some for _, some in self.starting) - sum(some for _, some in still)
        if got:
            # Those that wait when it gets ready are answered by it, as many as it takes.
            beyond = max(0.0, self.backlog - self.ready * self.platform.concurrency)
            self.cold += min(beyond, got * self.platform.concurrency)
            self.ready += got
            self.starting = still

    def _refuse(self) -> float:
        """Those that would wait for longer than they are held, with what there is and will be."""
        coming = sum(some for when, some in self.starting if when < self.now + self.held_s)
        most = (self.ready + coming) * max(self.held_s / self.service.work, self.platform.concurrency)
        refused = max(0.0, self.backlog - most)
        self.backlog -= refused
        return refused

    def _start_for(self, waiting: float) -> None:
        starting = sum(some for _, some in self.starting)
        self._start(math.ceil((waiting - 1e-9) / self.platform.concurrency) - starting)

    def _start(self, number: int) -> None:
        number = min(number, self.platform.most - self.ready - sum(some for _, some in self.starting))
        if number <= 0:
            return
        self.starts += number
        groups = min(number, GROUPS)
        takes = np.quantile(self.service.cold, (np.arange(groups) + self.draw.random()) / groups)
        for group, cold in enumerate(takes.tolist()):
            some = (number + group) // groups
            # Those that make it start come within the step, and not at its end.
            self.starting.append((self.now - STEP_S / 2 + self.platform.placing_s + cold, some))
        self.most = max(self.most, self.ready + sum(some for _, some in self.starting))
        self._note(self.ready + sum(some for _, some in self.starting))

    def _note_use(self, number: float) -> None:
        """Instances are asked in order, so that as many are used as are busy at once at most."""
        load = min(number / STEP_S * self.service.mean_warm, self.ready)
        # The highest of so many independent looks at a Poisson number.
        looks = max(2.0, STEP_S / self.service.mean_warm)
        peak = load + math.sqrt(2 * math.log(looks) * load) if number else 0.0
        self._note(self.ready if self.backlog > 0 else min(self.ready, math.ceil(peak)))

    def _note(self, used: int) -> None:
        while self.needed and self.needed[-1][1] <= used:
            self.needed.pop()
        self.needed.append((self.now, used))

    def _look(self) -> None:
        while self.needed[0][0] < self.now - self.platform.idle_s:
            self.needed.popleft()
        wanted = self._wanted()
        starting = sum(some for _, some in self.starting)
        self._start(wanted - self.ready - starting)
        self.ready = min(self.ready, max(self.platform.least, wanted, self.needed[0][1] - starting))

    def _wanted(self) -> int:
        if self.platform.target_use is None:
            return 0
        self.looks.append((self.now, self.worked))
        while self.looks[0][0] < self.now - WINDOW_S:
            self.looks.popleft()
        then, worked = self.looks[0]
        return math.ceil((self.worked - worked) / (self.now - then) / self.platform.target_use - 1e-9)


def _latencies(run: _Run, service: Service) -> tuple[Seconds, Seconds]:
    """Of all that were answered, ascending, and how many each stands for."""
    waits, weights = _waits(run, service)
    answers = np.quantile(service.warm, (np.arange(ANSWERS) + 0.5) / ANSWERS)
    sums = (waits[:, None] + answers[None, :]).ravel()
    order = np.argsort(sums)
    return sums[order], np.repeat(weights / ANSWERS, ANSWERS)[order]


def _waits(run: _Run, service: Service) -> tuple[Seconds, Seconds]:
    came, done, refused = (np.asarray(some) for some in (run.came, run.done, run.refused))
    # Who is refused stood behind all others, and leaves no gap.
    let_in, ready = came - refused, np.asarray(run.ready_s)
    behind = _behind(let_in, done)
    flows = (behind < STEP_S / 1000) & (ready > 0)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, LONGEST_S, WAITS)])
    order = np.argsort(behind[~flows])
    so_far = np.concatenate([[0.0], np.cumsum(let_in[~flows][order])])
    tail = so_far[-1] - so_far[np.searchsorted(behind[~flows][order], grid, side="right")]
    tail += _queued(let_in, ready, flows, grid, service)
    between = (grid[:-1] + grid[1:]) / 2
    waits = np.concatenate([[0.0], between, [LONGEST_S]])
    return waits, np.concatenate([[let_in.sum() - tail[0]], tail[:-1] - tail[1:], [tail[-1]]])


def _behind(let_in: Seconds, done: Seconds) -> Seconds:
    """How long the middle one of a step's requests waits for those before it: until as many are done."""
    ends = np.arange(len(done) + 1) * STEP_S
    total = np.concatenate([[0.0], np.cumsum(done)])
    middle = np.cumsum(let_in) - let_in / 2
    turns = np.interp(middle, total, ends)
    return np.asarray(np.maximum(turns - (ends[:-1] + STEP_S / 2), 0.0))


def _queued(let_in: Seconds, ready: Seconds, flows: NDArray[np.bool_], grid: Seconds, service: Service) -> Seconds:
    """How many wait for longer than each of these times though instances keep up: by chance."""
    minute = round(MINUTE_S / STEP_S)
    rates = np.repeat(np.add.reduceat(let_in, np.arange(0, len(let_in), minute)) / MINUTE_S, minute)[: len(let_in)]
    pairs, place = np.unique(np.stack([ready, rates])[:, flows], axis=1, return_inverse=True)
    number = np.bincount(place.ravel(), let_in[flows], minlength=pairs.shape[1])
    servers, load = (
        pairs[0],
        np.minimum(
            pairs[1] * service.work, pairs[0] * (1 - np.sqrt(np.minimum(1, service.work / pairs[0] / STEP_S))) ** 2
        ),
    )
    busy, use = erlang_c(servers, load), load / servers
    variation = np.std(service.warm) / service.mean_warm
    # Of k answers ahead in each instance, the first is half done: between whole answers the tail is a straight line.
    ahead = grid[None, :] / service.work
    whole, part = np.floor(ahead), ahead % 1
    layer = (use ** (servers * 2 / (1 + variation**2)))[:, None]
    tail = busy[:, None] * layer**whole * (1 - part * (1 - layer))
    return np.asarray(number @ tail)


def erlang_c(servers: Seconds, load: Seconds) -> Seconds:
    """The chance that all servers are busy, in a queue of Poisson arrivals before all of them."""
    with np.errstate(divide="ignore"):
        point = np.exp(servers * np.log(load) - load - gammaln(servers + 1))
    blocked = point / pdtr(servers, load)
    use = load / servers
    return np.asarray(blocked / (1 - use * (1 - blocked)))
