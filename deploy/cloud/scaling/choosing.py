"""Which pings, or how many kept instances, a function's requests are worth: each is simulated, the cheapest wins."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from deploy.cloud.costs import Prices, Size, billed
from deploy.cloud.pings import Pings
from deploy.cloud.scaling import events, flow
from deploy.cloud.scaling.arguments import GOAL
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Outcome
from deploy.cloud.scaling.platform import Platform
from deploy.cloud.scaling.trace import Trace

#: Requests that are simulated one by one; more of them as a flow.
EVENTS_AT_MOST = 2_000_000

#: Minutes between pings: as the families' own have them, and the most that an idle instance is kept for.
EVERY_MINUTES = (5, 10, 14)

#: Parts of the cold starts that the pings of some hours are to prevent.
COVERED = (0.5, 0.8, 0.95)

#: Months whose dollars differ by no more than this part are as dear: chance makes as much.
SAME = 0.03


@dataclass(frozen=True)
class Plan:
    """What keeps instances warm: pings, or ``--min-instances``, or nothing."""

    schedule: str | None = None
    least: int = 0

    @property
    def name(self) -> str:
        if self.schedule:
            return f"pings {self.schedule}"
        return f"--min-instances={self.least}" if self.least else "nothing"


@dataclass(frozen=True)
class Choice:
    """A plan, what came of it, and dollars a month."""

    plan: Plan
    outcome: Outcome
    month: float

    @property
    def unlucky(self) -> float:
        """The part of the requests that waited for a start or were refused."""
        refused = self.outcome.refused / self.outcome.requests if self.outcome.requests else 0.0
        return self.outcome.cold_share + refused


def simulated(trace: Trace, service: Service, platform: Platform, plan: Plan, seed: int = 0) -> Outcome:
    """One by one, or where there are too many as a flow."""
    platform = platform.keeping(max(platform.least, plan.least))
    # A day begins as the day before has left it.
    use = platform.target_use or 1.0
    there = round(float(trace.rates[0]) * service.work / use)
    pings = _ping_times(trace, plan)
    if trace.expected <= EVENTS_AT_MOST:
        return events.simulated(trace.times(seed), service, platform, trace.seconds, pings, there, seed)
    outcome = flow.simulated(trace.counts(flow.STEP_S, seed), service, platform, there, seed)
    # Among so many, pings find an instance that is there anyway.
    paid = outcome.active_s + len(pings) * billed(service.mean_warm)
    return replace(outcome, pings=len(pings), active_s=paid)


def choices(
    trace: Trace, service: Service, platform: Platform, prices: Prices, size: Size, plans: Iterable[Plan], seed: int = 0
) -> list[Choice]:
    found = []
    for plan in plans:
        outcome = simulated(trace, service, platform, plan, seed)
        found.append(Choice(plan, outcome, outcome.month(prices, size)))
    return found


def recommended(found: list[Choice], goal: float = GOAL) -> Choice:
    """The cheapest that lets no more requests wait; where none does, the one that lets the fewest.

    Of those that cost about the same, the first.
    """
    good = [one for one in found if one.unlucky <= goal]
    if not good:
        return min(found, key=lambda one: (one.unlucky, one.month))
    least = min(one.month for one in good)
    return next(one for one in good if one.month <= least * (1 + SAME))


def plans(trace: Trace, service: Service, platform: Platform, seed: int = 0) -> list[Plan]:
    """Nothing, pings all day, pings in the hours that need them, and kept instances."""
    fixed = [Plan(f"*/{every} * * * *") for every in EVERY_MINUTES]
    kept = [Plan(least=number) for number in _numbers(trace, service, platform)]
    return list(dict.fromkeys([Plan(), *fixed, *in_hours(trace, platform, seed), *kept]))


def in_hours(trace: Trace, platform: Platform, seed: int = 0) -> list[Plan]:
    """Pings in the shortest stretch of the day in which so many of the cold starts would be."""
    if trace.expected > EVENTS_AT_MOST:
        return []  # some are there all the time
    times = trace.times(seed)
    if not len(times):
        return []
    # Before the first one was the last one of a day like this.
    is_cold = np.diff(times, prepend=times[-1] - trace.seconds) > platform.idle_s
    hours = ((times[is_cold] + _seconds_of_day(trace)) // 3600 % 24).astype(int)
    colds = np.bincount(hours, minlength=24)
    stretches = (_stretch(colds, part) for part in COVERED)
    return [Plan(f"*/10 {hours} * * *") for hours in dict.fromkeys(stretches) if hours]


def _stretch(colds: np.ndarray[tuple[int], np.dtype[np.int_]], part: float) -> str | None:
    """As cron has it: "8-17", "22-23,0-4"; None where there is no cold start, or all day is needed."""
    if not colds.sum():
        return None
    twice = np.concatenate([colds, colds])
    for length in range(1, 24):
        sums = [int(twice[first : first + length].sum()) for first in range(24)]
        first = int(np.argmax(sums))
        if sums[first] >= part * colds.sum():
            return _hours(first, length)
    return None


def _hours(first: int, length: int) -> str:
    last = first + length - 1
    parts = [(first, last)] if last < 24 else [(first, 23), (0, last - 24)]
    return ",".join(f"{start}-{end}" if start < end else str(start) for start, end in parts)


def _numbers(trace: Trace, service: Service, platform: Platform) -> list[int]:
    """One, what the day's mean has work for, and what its busiest minute has."""
    use = platform.target_use or 1.0
    loads = (trace.mean_rate * service.work / use, float(trace.rates.max()) * service.work / use)
    return sorted({1, *(min(max(1, math.ceil(load)), platform.most) for load in loads)})


def _ping_times(trace: Trace, plan: Plan) -> list[float]:
    if plan.schedule is None:
        return []
    pings = Pings.read({"--schedule": plan.schedule})
    end = trace.begins + timedelta(seconds=trace.seconds)
    return [(time - trace.begins).total_seconds() for time in pings.between(trace.begins, end)]


def _seconds_of_day(trace: Trace) -> int:
    return trace.begins.hour * 3600 + trace.begins.minute * 60
