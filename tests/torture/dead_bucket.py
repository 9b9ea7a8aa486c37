"""The bucket is gone while a warm instance is asked, in each way in which it can be; and a cold one is asked too."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

from tests.fakes.bucket import Call, FakeBucket
from tests.torture.load import Answer, asking, at_rate, meanwhile, once, port_of, quantile, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.versions import EXAMPLE, NAME, publish_versions

#: Seconds without a bucket, in all ways together.
LENGTHS = {"ci": 15, "short": 20, "full": 60}

PER_SECOND = 50
#: Seconds with a bucket, before and after.
HEALTHY_S = 4.0
REFRESH_S = 1
#: What the issue allows between two looks at a store that is away, and for a cold instance's refusal.
AWAY_S = 10.0
COLD_S = 5.0
#: Requests of one look are no further apart.
ONE_LOOK_S = 3.6


class Death(NamedTuple):
    """A way for a bucket to be gone."""

    name: str
    begin: Callable[[FakeBucket], object]
    end: Callable[[FakeBucket], object]


def _fault(name: str, **effects: Any) -> Death:
    return Death(name, lambda bucket: bucket.fault(times=None, **effects), FakeBucket.heal)


DEATHS = (
    Death("refuse", FakeBucket.refuse, FakeBucket.listen),
    _fault("reset", cut=0),
    _fault("black hole", black_hole=True),
    _fault("403", status=403),
    _fault("503", status=503),
)


class Watch:
    """When the bucket was asked for the alias."""

    def __init__(self, bucket: FakeBucket) -> None:
        self.times: list[float] = []
        bucket.on_call = self

    def __call__(self, call: Call) -> None:
        if call.object.endswith("aliases/prod.json"):
            self.times.append(time.perf_counter())

    def looks(self, begin: float, end: float) -> int:
        times = [at for at in self.times if begin <= at < end]
        return bool(times) + sum(later - sooner > ONE_LOOK_S for sooner, later in pairwise(times))


def run(length: str, place: Place) -> Sequence[Bar]:
    publish_versions(place, 1)
    each = LENGTHS[length] / len(DEATHS)
    settings = {"MODEL_REFRESH_SECONDS": str(REFRESH_S)}
    with place.function("tabular", MODEL_NAME=NAME, **settings) as (warm, _), place.function("tabular") as (cold, _):
        port = port_of(warm)
        once(port, asking(value={"data": EXAMPLE}))
        watch, seconds = Watch(place.bucket), LENGTHS[length] + 2 * HEALTHY_S + AWAY_S
        refused: list[Answer] = []
        with meanwhile(at_rate(port, lambda _: asking(value={"data": EXAMPLE}), PER_SECOND, seconds)) as found:
            time.sleep(HEALTHY_S)
            began = time.perf_counter()
            for death in DEATHS:
                with dead(place.bucket, death):
                    until = time.perf_counter() + each
                    refused.append(_cold(port_of(cold)))
                    time.sleep(max(0.0, until - time.perf_counter()))
            ended = time.perf_counter()
        answers = found.result()
        place.bucket.on_call = lambda _: None
        back = _cold(port_of(cold))
    return [*_bars(answers, began, ended, watch), *_cold_bars(refused, back)]


@contextmanager
def dead(bucket: FakeBucket, death: Death) -> Iterator[None]:
    death.begin(bucket)
    try:
        yield
    finally:
        death.end(bucket)
        # Whoever waits in the black hole waits no longer.
        bucket.released.set()
        bucket.released.clear()


def _cold(port: int) -> Answer:
    """What an instance that has loaded nothing says."""
    return once(port, asking(value={"model_name": NAME, "data": EXAMPLE}))


def _bars(answers: list[Answer], began: float, ended: float, watch: Watch) -> Sequence[Bar]:
    during = [answer for answer in answers if began <= answer.meant < ended]
    good = sum(answer.status == 200 for answer in answers)
    stale = next((answer.meant for answer in during if "x-model-stale" in answer.headers), float("inf"))
    silent = [answer for answer in during if answer.meant > stale and "x-model-stale" not in answer.headers]
    looks, most = watch.looks(began, ended), 1 + (ended - began) / AWAY_S
    fresh = [answer for answer in answers if answer.meant > ended + AWAY_S + 1 and "x-model-stale" in answer.headers]
    before = quantile(answer.seconds for answer in answers if answer.meant < began)
    without = quantile(answer.seconds for answer in during)
    how = ", ".join(death.name for death in DEATHS)
    return [
        Bar(
            f"{ended - began:.0f} s without a bucket ({how}), warm", "0 failed", statuses(answers), good == len(answers)
        ),
        Bar("after the first look that failed: X-Model-Stale", "all", f"{len(silent)} without", not silent),
        Bar("looks at the bucket that is gone", f"≤ {most:.0f}", str(looks), 0 < looks <= most),
        Bar("stale once the bucket is back", f"0 after {AWAY_S:.0f} s", str(len(fresh)), not fresh),
        Bar("p99 with and without a bucket", "told", f"{before * 1000:.1f}, {without * 1000:.1f} ms", met=True),
    ]


def _cold_bars(refused: list[Answer], back: Answer) -> Sequence[Bar]:
    told = sum(answer.status == 503 and "retry-after" in answer.headers for answer in refused)
    slowest = max(answer.seconds for answer in refused)
    return [
        Bar("a cold instance without a bucket", f"{len(refused)} × 503", statuses(refused), told == len(refused)),
        Bar("the longest until it said so", f"≤ {COLD_S:.0f} s", f"{slowest:.2f} s", slowest <= COLD_S),
        Bar("the cold instance with a bucket again", "200", statuses([back]), back.status == 200),
    ]
