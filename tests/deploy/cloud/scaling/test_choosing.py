"""What a trace is worth: pings where requests come seldom, in the hours in which they come, or nothing at all."""

import math

import numpy as np
import pytest

from deploy.cloud.costs import Prices, Size
from deploy.cloud.scaling import choosing, shape
from deploy.cloud.scaling.arguments import GOAL
from deploy.cloud.scaling.choosing import EVENTS_AT_MOST, Choice, Plan
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.platform import Platform
from deploy.cloud.scaling.trace import Trace

MODEL = Service(cold=(1.0, 1.2, 1.5), warm=(0.03, 0.032, 0.035), work=0.03)
SIZE = Size(vcpus=2, gib=4, concurrency=8)
PRICES = Prices.read_file()


def chosen(trace: Trace, goal: float = GOAL) -> tuple[Choice, list[Choice]]:
    plans = choosing.plans(trace, MODEL, Platform(8))
    found = choosing.choices(trace, MODEL, Platform(8), PRICES, SIZE, plans)
    return choosing.recommended(found, goal), found


def office() -> Trace:
    """Every twenty minutes from nine to five."""
    times = np.arange(9 * 3600 + 300.0, 17 * 3600, 1200)
    return Trace(np.histogram(times, np.arange(1441) * 60.0)[0] / 60, times)


def test_who_is_asked_in_office_hours_gets_pings_in_office_hours() -> None:
    best, found = chosen(office(), goal=0.1)
    assert best.plan == Plan("*/10 9-16 * * *")
    assert best.outcome.cold_share == 0
    nothing = found[0]
    assert (nothing.plan, nothing.outcome.cold_share) == (Plan(), 1.0)
    kept = next(one for one in found if one.plan == Plan(least=1))
    assert nothing.month < best.month < kept.month


def test_who_is_asked_often_needs_nothing() -> None:
    best, found = chosen(shape.day(0.1, seed=1))
    assert best.plan == Plan()
    assert best.unlucky < 0.001
    assert not [one for one in found if one.plan.schedule and one.plan.schedule.split()[1] != "*"]


def test_where_nothing_is_good_enough_the_best_is_told() -> None:
    best, found = chosen(office(), goal=-1)
    assert best.unlucky == min(one.unlucky for one in found) == 0


@pytest.mark.parametrize(
    ("hours", "schedule"),
    [
        pytest.param([9, 10, 11], "*/10 9-11 * * *", id="by day"),
        pytest.param([22, 23, 0, 1], "*/10 22-23,0-1 * * *", id="over midnight"),
        pytest.param([23, 0], "*/10 23,0 * * *", id="two hours"),
        pytest.param([5], "*/10 5 * * *", id="one hour"),
    ],
)
def test_hours_are_written_as_cron_has_them(hours: list[int], schedule: str) -> None:
    times = np.sort(np.array([hour * 3600 + minute * 60.0 for hour in hours for minute in (5, 25, 45)]))
    trace = Trace(np.histogram(times, np.arange(1441) * 60.0)[0] / 60, times)
    assert choosing.in_hours(trace, Platform(8))[-1] == Plan(schedule)


def test_an_empty_day_needs_no_pings() -> None:
    assert choosing.in_hours(Trace(np.zeros(1440)), Platform(8)) == []


def test_what_is_too_much_to_go_one_by_one_flows() -> None:
    rate = 1.5 * EVENTS_AT_MOST / 86_400
    trace = shape.day(rate, seed=1)
    pinged = choosing.simulated(trace, MODEL, Platform(8), Plan("*/10 * * * *"))
    alone = choosing.simulated(trace, MODEL, Platform(8), Plan())
    assert (pinged.pings, alone.pings) == (144, 0)
    assert pinged.active_s - alone.active_s == pytest.approx(14.4)
    assert len(alone.latencies) < EVENTS_AT_MOST
    assert pinged.month(PRICES, SIZE) > alone.month(PRICES, SIZE)


def test_kept_instances_are_one_the_mean_s_and_the_busiest_minute_s() -> None:
    trace = Trace(np.array([100.0, 300.0]))
    kept = [plan.least for plan in choosing.plans(trace, MODEL, Platform(8)) if plan.least]
    assert kept == [1, math.ceil(200 * 0.03 / 0.6), math.ceil(300 * 0.03 / 0.6)]
    few = [plan.least for plan in choosing.plans(trace, MODEL, Platform(8, most=4)) if plan.least]
    assert few == [1, 4]


def test_a_plan_has_a_name() -> None:
    names = [plan.name for plan in (Plan(), Plan("*/5 * * * *"), Plan(least=2))]
    assert names == ["nothing", "pings */5 * * * *", "--min-instances=2"]
