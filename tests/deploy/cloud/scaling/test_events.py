"""Request by request: what queueing theory says of fixed instances, and the platform's rules by sums done by hand."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from deploy.cloud import costs
from deploy.cloud.costs import Prices, Size
from deploy.cloud.scaling import shape
from deploy.cloud.scaling.events import simulated
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Outcome, Seconds
from deploy.cloud.scaling.platform import Platform

PRICES = Prices("2026-01-01", active=(0.00002, 0.000002), idle=(0.000002, 0.000002), request=0.000001, job_month=0.1)
SIZE = Size(vcpus=2, gib=4, concurrency=8)

#: Nothing but work: theory knows no way there and back.
QUICK = Service(cold=(2.0,), warm=(0.2,), work=0.2)
PLAIN = Platform(concurrency=8, target_use=None, placing_s=0.0, idle_s=900, look_s=5)


def fixed(instances: int, concurrency: int) -> Platform:
    return Platform(concurrency, least=instances, most=instances, target_use=None)


def exponential(mean: float) -> Service:
    levels = (np.arange(4000) + 0.5) / 4000
    answers = -mean * np.log(1 - levels)
    return Service(cold=(1.0,), warm=tuple(answers.tolist()), work=float(answers.mean()))


def poisson(rate: float, seconds: float, seed: int = 3) -> Seconds:
    draw = np.random.default_rng(seed)
    return np.sort(draw.random(int(draw.poisson(rate * seconds))) * seconds)


def erlang_c(servers: int, load: float) -> float:
    terms = [load**number / math.factorial(number) for number in range(servers + 1)]
    last = terms[-1] * servers / (servers - load)
    return last / (sum(terms[:-1]) + last)


def mean_latency(outcome: Outcome) -> float:
    return float(np.average(outcome.latencies, weights=outcome.weights))


@pytest.mark.parametrize(("servers", "use"), [(1, 0.5), (1, 0.8), (4, 0.7), (10, 0.9)], ids=str)
def test_waits_before_fixed_instances_are_those_of_erlang(servers: int, use: float) -> None:
    service = exponential(0.05)
    rate = servers * use / service.work
    seconds = 150_000 / rate
    outcome = simulated(poisson(rate, seconds), service, fixed(servers, concurrency=1), seconds, seed=1)
    waits = erlang_c(servers, rate * service.work) / (servers / service.work - rate)
    assert mean_latency(outcome) == pytest.approx(service.work + waits, rel=0.06)


def test_answers_that_take_equally_long_wait_half_as_long() -> None:
    """Pollaczek and Khinchine: without variance, half of what exponential answers wait."""
    rate, seconds = 4.0, 25_000.0
    outcome = simulated(poisson(rate, seconds), QUICK, fixed(1, concurrency=1000), seconds)
    assert mean_latency(outcome) == pytest.approx(0.2 + 0.5 * 0.8 * 0.2 / 0.2, rel=0.06)


def test_instances_are_busy_for_what_the_answers_take() -> None:
    """Little's law of the instances: on average rate times seconds of them have a request."""
    arrivals = poisson(3.0, 1000.0)
    outcome = simulated(arrivals, QUICK, fixed(10, concurrency=1), 1000.0)
    assert outcome.active_s == pytest.approx(len(arrivals) * 0.2)
    assert outcome.kept_s == pytest.approx(10 * 1000 - outcome.active_s)


@pytest.mark.parametrize(
    "platform",
    [
        pytest.param(Platform(8), id="Cloud Run"),
        pytest.param(Platform(1, most=2), id="too few"),
        pytest.param(Platform(8, least=3), id="kept"),
        pytest.param(Platform.emulator(8, 1, 20.0), id="the emulator"),
    ],
)
def test_every_request_is_answered_once_or_refused(platform: Platform) -> None:
    arrivals = shape.day(5.0, seed=1, minutes=30).times(2)
    outcome = simulated(arrivals, QUICK, platform, 1800, pings=[60.0 * number for number in range(30)])
    assert outcome.requests == len(arrivals)
    assert outcome.answered + outcome.refused == len(arrivals)
    assert outcome.pings == 30
    assert all(earlier <= later for earlier, later in pairwise(outcome.latencies))
    assert outcome.latencies[0] >= 0.2 - 1e-9


def test_the_same_seed_gives_the_same() -> None:
    service = exponential(0.1)
    first, again, other = (
        simulated(shape.day(2.0, seed=1, minutes=60).times(seed), service, Platform(8), 3600, seed=seed)
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first.latencies, again.latencies)
    assert replace(first, latencies=again.latencies, weights=again.weights) == again
    assert not np.array_equal(first.latencies[:100], other.latencies[:100])


def test_an_instance_ends_when_it_was_idle_for_long_enough() -> None:
    outcome = simulated(np.array([0.0, 880.0, 1700.0, 2700.0]), QUICK, PLAIN, 3000)
    assert outcome.starts == outcome.cold == 2
    assert outcome.latencies.tolist() == pytest.approx([0.2, 0.2, 2.2, 2.2])


def test_pings_take_the_cold_starts_of_others() -> None:
    arrivals: Seconds = np.arange(1230.0, 11_000.0, 1200.0)
    without = simulated(arrivals, QUICK, PLAIN, 12_000)
    kept = simulated(arrivals, QUICK, PLAIN, 12_000, pings=[600.0 * number for number in range(20)])
    assert (without.starts, without.cold) == (9, 9)
    assert (kept.starts, kept.cold) == (1, 0)
    assert kept.quantile(1) == pytest.approx(0.2)


def test_another_instance_starts_for_what_the_first_has_no_room_for() -> None:
    outcome = simulated(np.zeros(17), QUICK, PLAIN, 60)
    assert (outcome.starts, outcome.cold) == (3, 17)
    # Each of them works on its share, one after the other.
    assert outcome.quantile(1) == pytest.approx(2.0 + 8 * 0.2)


def test_what_nobody_has_room_for_is_refused_after_a_while() -> None:
    platform = replace(PLAIN, most=1, concurrency=1)
    assert platform.held_s(QUICK) == 10
    outcome = simulated(np.zeros(100), QUICK, platform, 60)
    # 2 s for the start, and then five a second.
    assert outcome.answered == pytest.approx(41, abs=1)
    assert outcome.refused == 100 - outcome.answered


def test_instances_are_started_before_those_there_are_have_too_much_to_do() -> None:
    arrivals = poisson(4.0, 600)
    outcome = simulated(arrivals, QUICK, replace(PLAIN, target_use=0.6), 600, there=1)
    assert outcome.most_instances == 2
    assert simulated(arrivals, QUICK, replace(PLAIN, concurrency=1000), 600, there=1).most_instances == 1


def test_more_is_never_worse() -> None:
    arrivals = shape.day(0.004, seed=2).times(1)

    by_time = [
        simulated(arrivals, QUICK, replace(PLAIN, most=1, idle_s=seconds), 86_400).starts
        for seconds in (60.0, 300.0, 900.0, 3600.0)
    ]
    assert by_time == sorted(by_time, reverse=True)
    assert by_time[0] > by_time[-1] > 0
    burst = poisson(30, 60)
    colds = [simulated(burst, QUICK, PLAIN.keeping(least), 60).cold for least in (0, 1, 4, 16)]
    assert colds == sorted(colds, reverse=True)
    assert colds[-1] == 0
    refused = [simulated(burst, QUICK, replace(PLAIN, most=most), 60).refused for most in (1, 2, 4, 8)]
    assert refused == sorted(refused, reverse=True)
    assert refused[0] > refused[-1]


def test_a_day_costs_what_its_seconds_cost() -> None:
    second, day = 2 * 0.00002 + 4 * 0.000002, 86_400
    outcome = simulated(np.array([0.0, 0.05, 500.0]), QUICK, replace(PLAIN, placing_s=1.0), day)
    # A start of 3 s and two answers; one answer.
    assert outcome.active_s == pytest.approx(3.4 + 0.2)
    assert outcome.month(PRICES, SIZE) == pytest.approx(30 * (3.6 * second + 3 * 0.000001))
    kept = simulated(np.array([0.0]), QUICK, PLAIN.keeping(1), day)
    assert kept.month(PRICES, SIZE) == pytest.approx(
        costs.kept(PRICES, SIZE) - 30 * 0.2 * 6 * 0.000002 + 30 * (0.2 * second + 0.000001)
    )


def test_pings_alone_cost_what_the_formula_of_pings_says() -> None:
    ping = Service(cold=(1.0,), warm=(0.1,), work=0.1)
    pings = [600.0 * number for number in range(144)]
    outcome = simulated(np.empty(0), ping, replace(PLAIN, least=0), 86_400, pings=pings, there=1)
    assert math.isnan(outcome.quantile(0.99))
    assert outcome.month(PRICES, SIZE) == pytest.approx(costs.pings(PRICES, SIZE, 30 * 144, 0.1))


@pytest.mark.parametrize("rate", [0.5, 5.0, 15.0], ids=str)
def test_steady_traffic_costs_at_most_what_the_formula_of_traffic_says(rate: float) -> None:
    service = Service(cold=(1.0,), warm=(0.03,), work=0.03)
    outcome = simulated(poisson(rate, 3600), service, Platform(8), 3600, there=math.ceil(rate * 0.03 / 0.6))
    most = costs.traffic(PRICES, SIZE, outcome.requests / 3600, 0.03)
    assert 0.3 * most < outcome.month(PRICES, SIZE) <= most * 1.001


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"concurrency": 0}, "--concurrency is 0.", id="concurrency"),
        pytest.param({"least": 3, "most": 2}, "--min-instances is 3 and --max-instances is 2.", id="more than most"),
        pytest.param({"least": -1}, "--min-instances is -1", id="negative"),
        pytest.param({"idle_s": 0.0}, "An instance is kept for 0 s", id="idle"),
    ],
)
def test_a_platform_that_cannot_be_is_told(changes: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(PLAIN, **changes)  # type: ignore[arg-type]


def test_a_platform_is_read_off_the_flags() -> None:
    assert Platform.cloud_run({"--concurrency": 8, "--min-instances": "1", "--max-instances": 5}) == Platform(8, 1, 5)
    assert Platform.cloud_run({}) == Platform(1, 0, 100)


@pytest.mark.parametrize(("is_one_machine", "latencies"), [(True, [1.9, 2.7]), (False, [1.4, 2.2])], ids=str)
def test_starts_take_longer_beside_each_other_on_one_machine_alone(
    is_one_machine: bool, latencies: list[float]
) -> None:
    """The first one has half of its two seconds left when the second begins, and half as much again from then on."""
    platform = replace(PLAIN, concurrency=1, is_one_machine=is_one_machine)
    outcome = simulated(np.array([0.0, 1.0]), replace(QUICK, beside=0.5), platform, 10.0)
    assert outcome.latencies.tolist() == pytest.approx(latencies)
    assert outcome.starts == 2
