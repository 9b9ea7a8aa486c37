"""A function under traffic, request by request: a queue before instances, in each of them one answer after the other.

A request goes to the instance that has the fewest, the oldest of those that have equally few. Where none has room it
waits before all of them, and another instance is started unless those that start already will have room for it.
"""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from itertools import count

import numpy as np

from deploy.cloud.costs import billed
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Outcome, Seconds
from deploy.cloud.scaling.platform import WINDOW_S, Platform


class _Instance:
    """What is known of one; paid is from ``paid_from`` to ``paid_until``, and ``closed`` seconds before."""

    __slots__ = (
        *("closed", "free_at", "in_flight", "is_kept", "is_ready", "last_used", "paid_from", "paid_until"),
        *("ready_at", "started"),
    )

    def __init__(self, now: float, ready_at: float, is_kept: bool = False) -> None:
        self.started = self.paid_from = now  # a start is paid for
        self.is_ready, self.is_kept = False, is_kept
        self.in_flight = 0
        self.closed = 0.0
        self.postponed(ready_at)

    def postponed(self, ready_at: float) -> None:
        self.ready_at = self.free_at = self.last_used = self.paid_until = ready_at

    def taken(self, now: float) -> None:
        if not self.in_flight and now > self.paid_until:
            self.closed += self.paid_until - self.paid_from
            self.paid_from = now
        self.in_flight += 1

    def rests(self, now: float) -> None:
        self.last_used = now
        self.paid_until = self.paid_from + billed(now - self.paid_from)

    @property
    def paid(self) -> float:
        return self.closed + self.paid_until - self.paid_from


def simulated(
    arrivals: Seconds,
    service: Service,
    platform: Platform,
    seconds: float,
    pings: Sequence[float] = (),
    there: int = 0,
    seed: int = 0,
) -> Outcome:
    """The outcome of requests that come at these times, ascending.

    Args:
        seconds: that it lasts; requests under way by then are still answered.
        pings: when one comes.
        there: instances that are ready at the beginning.
    """
    times = np.concatenate([arrivals, np.asarray(pings, dtype=float)])
    order = np.argsort(times, kind="stable")
    run = _Run(times[order], service, platform, np.random.default_rng(seed))
    run.begin(there)
    run.until_the_end(seconds)
    return run.outcome(seconds, is_ping=order >= len(arrivals))


class _Run:
    def __init__(self, times: Seconds, service: Service, platform: Platform, draw: np.random.Generator) -> None:
        self.times: list[float] = times.tolist()
        answers = draw.choice(np.asarray(service.warm), len(times))
        self.work: list[float] = (answers * service.share).tolist()
        self.way: list[float] = (answers * (1 - service.share)).tolist()
        self.answered = np.full(len(times), math.nan)
        self.cold = np.zeros(len(times), bool)
        self.service, self.platform, self.draw = service, platform, draw
        self.held_s = platform.held_s(service)
        self.waiting: deque[int] = deque()
        self.instances: list[_Instance] = []
        self.starting = self.starts = self.most = 0
        #: (when, tie breaker, whose); an instance that is not ready becomes so, any other has answered.
        self.coming: list[tuple[float, int, _Instance]] = []
        self.ties = count()
        self.next_look = platform.look_s
        #: Seconds of work, and of requests within instances, since the beginning; and what they were at earlier looks.
        self.worked = self.been = 0.0
        self.looks: deque[tuple[float, float, float]] = deque([(0.0, 0.0, 0.0)])
        self.lived = self.paid = self.kept_paid = 0.0

    def begin(self, there: int) -> None:
        for number in range(self.platform.beginning(there)):
            instance = _Instance(0.0, 0.0, is_kept=number < self.platform.least)
            instance.is_ready = True
            self._add(instance)

    def until_the_end(self, seconds: float) -> None:
        for number, now in enumerate(self.times):
            self._pass(now)
            self._arrive(number, now)
        self._pass(seconds)
        while self.coming:
            self._happen()
        for instance in list(self.instances):
            self._end(instance, seconds)

    def outcome(self, seconds: float, is_ping: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Outcome:
        latencies = (self.answered - np.asarray(self.times))[~is_ping]
        refused = int(np.isnan(latencies).sum())
        latencies = np.sort(latencies[~np.isnan(latencies)])
        return Outcome(
            seconds=seconds,
            requests=int((~is_ping).sum()),
            refused=refused,
            cold=int(self.cold[~is_ping].sum()),
            starts=self.starts,
            latencies=latencies,
            weights=np.ones(len(latencies)),
            mean_instances=self.lived / seconds,
            most_instances=self.most,
            active_s=self.paid,
            kept_s=max(0.0, self.platform.least * seconds - self.kept_paid),
            pings=int(is_ping.sum()),
        )

    def _pass(self, now: float) -> None:
        """Lets happen what does until then."""
        while True:
            coming = self.coming[0][0] if self.coming else math.inf
            if min(coming, self.next_look) > now:
                return
            if coming <= self.next_look:
                self._happen()
            else:
                self._look()

    def _arrive(self, number: int, now: float) -> None:
        roomiest = self._roomiest()
        if roomiest is not None:
            self._take(number, now, roomiest)
            return
        self.waiting.append(number)
        if len(self.waiting) > self.starting * self.platform.concurrency:
            self._start(now)

    def _roomiest(self) -> _Instance | None:
        fewest, found = self.platform.concurrency, None
        for instance in self.instances:
            if instance.in_flight < fewest and instance.is_ready:
                fewest, found = instance.in_flight, instance
                if not fewest:
                    break
        return found

    def _take(self, number: int, now: float, instance: _Instance) -> None:
        instance.taken(now)
        instance.free_at = max(now, instance.free_at) + self.work[number]
        answered = instance.free_at + self.way[number]
        self.answered[number] = answered
        self.worked += self.work[number]
        self.been += answered - now
        heapq.heappush(self.coming, (answered, next(self.ties), instance))

    def _happen(self) -> None:
        now, _, instance = heapq.heappop(self.coming)
        if not instance.is_ready:
            instance.is_ready = True
            self.starting -= 1
            room = self.platform.concurrency
        else:
            instance.in_flight -= 1
            room = 1
        for _ in range(room):
            self._take_waiting(now, instance)
        if not instance.in_flight:
            instance.rests(now)

    def _take_waiting(self, now: float, instance: _Instance) -> None:
        while self.waiting:
            number = self.waiting.popleft()
            came = self.times[number]
            if now - came <= self.held_s:
                self.cold[number] = came < instance.ready_at
                self._take(number, now, instance)
                return

    def _start(self, now: float) -> None:
        if len(self.instances) >= self.platform.most:
            return
        start_s = float(self.draw.choice(self.service.cold))
        if self.platform.is_one_machine and self.starting:
            start_s *= self._longer(now)
        instance = _Instance(now, now + self.platform.placing_s + start_s)
        self._add(instance)
        self.starting += 1
        self.starts += 1
        heapq.heappush(self.coming, (instance.ready_at, next(self.ties), instance))

    def _longer(self, now: float) -> float:
        """How many times as long a start takes beside those under way, of which what is left gets longer too."""
        alone, beside = (1 + self.service.beside * others for others in (self.starting - 1, self.starting))
        for place, (when, tie, instance) in enumerate(self.coming):
            if not instance.is_ready:
                instance.postponed(now + (when - now) * beside / alone)
                self.coming[place] = instance.ready_at, tie, instance
        heapq.heapify(self.coming)
        return beside

    def _add(self, instance: _Instance) -> None:
        self.instances.append(instance)
        self.most = max(self.most, len(self.instances))

    def _look(self) -> None:
        """As the platform does now and then: ends what is idle for long, and starts what will be needed."""
        now = self.next_look
        self.next_look += self.platform.look_s
        wanted = self._wanted(now)
        idle = [one for one in reversed(self.instances) if self._is_idle(one, now)]
        for instance in idle[: max(0, len(self.instances) - wanted)]:
            self._end(instance, now)
        for _ in range(wanted - len(self.instances)):
            self._start(now)

    def _is_idle(self, one: _Instance, now: float) -> bool:
        resting = one.is_ready and not one.in_flight and not one.is_kept
        return resting and now - one.last_used > self.platform.idle_s

    def _wanted(self, now: float) -> int:
        """Instances that would be busy for the part of their time that they are meant to, by the last minute."""
        if self.platform.target_use is None:
            return 0
        self.looks.append((now, self.worked, self.been))
        while self.looks[0][0] < now - WINDOW_S:
            self.looks.popleft()
        then, worked, been = self.looks[0]
        busy, at_once = (self.worked - worked) / (now - then), (self.been - been) / (now - then)
        most_used = max(busy, at_once / self.platform.concurrency)
        return math.ceil(most_used / self.platform.target_use - 1e-9)

    def _end(self, instance: _Instance, now: float) -> None:
        self.instances.remove(instance)
        self.lived += now - instance.started
        self.paid += instance.paid
        if instance.is_kept:
            self.kept_paid += instance.paid
