"""Step by step, held against request by request where both run, and against Erlang's formula."""

import numpy as np
import pytest

from deploy.cloud.scaling import events, flow, shape
from deploy.cloud.scaling.flow import STEP_S, erlang_c
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Outcome
from deploy.cloud.scaling.platform import Platform
from tests.deploy.cloud.scaling import test_events

MODEL = Service(cold=(1.0, 1.2, 1.5), warm=(0.03, 0.032, 0.035), work=0.03)
ROWS = Service(cold=(0.5, 0.6), warm=(0.004, 0.0042, 0.006), work=0.002)


def both(service: Service, concurrency: int, rate: float, minutes: int, most: int = 1000) -> tuple[Outcome, Outcome]:
    trace = shape.day(rate, seed=2, minutes=minutes)
    platform = Platform(concurrency, most=most)
    there = max(1, round(trace.rates[0] * service.work / 0.6))
    return (
        events.simulated(trace.times(2), service, platform, trace.seconds, there=there),
        flow.simulated(trace.counts(STEP_S, 2), service, platform, there=there),
    )


@pytest.mark.parametrize(
    ("service", "concurrency", "rate", "minutes"),
    [
        pytest.param(MODEL, 8, 30, 30, id="one model, 30 a second"),
        pytest.param(MODEL, 8, 100, 15, id="one model, 100 a second"),
        pytest.param(MODEL, 8, 300, 5, id="one model, 300 a second"),
        pytest.param(ROWS, 32, 100, 10, id="rows, 100 a second"),
        pytest.param(ROWS, 32, 300, 5, id="rows, 300 a second"),
        pytest.param(ROWS, 32, 2000, 2, id="rows, 2,000 a second"),
    ],
)
def test_it_tells_what_the_other_one_does(service: Service, concurrency: int, rate: float, minutes: int) -> None:
    exact, fluid = both(service, concurrency, rate, minutes)
    assert fluid.requests == pytest.approx(exact.requests, rel=0.02)
    assert fluid.quantile(0.5) == pytest.approx(exact.quantile(0.5), rel=0.15)
    assert fluid.quantile(0.99) == pytest.approx(exact.quantile(0.99), rel=0.2)
    assert fluid.mean_instances == pytest.approx(exact.mean_instances, rel=0.1)
    assert fluid.most_instances == pytest.approx(exact.most_instances, rel=0.1, abs=1)
    assert fluid.starts == pytest.approx(exact.starts, rel=0.2, abs=1)
    assert fluid.active_s == pytest.approx(exact.active_s, rel=0.25)
    assert fluid.refused == exact.refused == 0


def test_it_tells_what_too_few_instances_refuse() -> None:
    exact, fluid = both(MODEL, 8, 100, 10, most=2)
    assert exact.refused / exact.requests > 0.2
    assert fluid.refused == pytest.approx(exact.refused, rel=0.05)
    assert fluid.quantile(0.5) == pytest.approx(exact.quantile(0.5), rel=0.2)


def test_it_tells_how_many_wait_when_nothing_is_there() -> None:
    counts = np.full(240, 25.0)
    times = (np.arange(6000) + 0.5) / 50
    exact = events.simulated(times, MODEL, Platform(8), 120)
    fluid = flow.simulated(counts, MODEL, Platform(8))
    assert exact.cold > 50
    assert fluid.starts == pytest.approx(exact.starts, rel=0.25)
    assert fluid.quantile(0.99) == pytest.approx(exact.quantile(0.99), rel=0.2)


def test_every_request_is_answered_once_or_refused() -> None:
    counts = shape.day(2000.0, seed=3, minutes=20).counts(STEP_S)
    for most in (20, 1000):
        outcome = flow.simulated(counts, MODEL, Platform(8, most=most))
        assert outcome.answered + outcome.refused == pytest.approx(counts.sum())
        assert outcome.requests == counts.sum()
    assert flow.simulated(np.zeros(20), MODEL, Platform(8)).answered == 0


def test_the_same_seed_gives_the_same() -> None:
    counts = shape.day(5000.0, seed=3, minutes=20).counts(STEP_S)
    first, again = (flow.simulated(counts, MODEL, Platform(8, most=5000), seed=7) for _ in range(2))
    assert np.array_equal(first.weights, again.weights)
    assert (first.starts, first.active_s) == (again.starts, again.active_s)


def test_kept_instances_wait_for_the_first_requests() -> None:
    counts = np.full(240, 500.0)
    without, kept = (flow.simulated(counts, MODEL, Platform(8, least=least, most=1000)) for least in (0, 60))
    assert without.cold > 0 == kept.cold
    assert without.quantile(0.99) > 1 > kept.quantile(0.99)
    assert kept.kept_s > 0


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (3, 2.4), (40, 35.0)], ids=str)
def test_the_chance_of_waiting_is_erlangs(servers: int, load: float) -> None:
    found = erlang_c(np.array([float(servers)]), np.array([load]))
    assert found[0] == pytest.approx(test_events.erlang_c(servers, load))


def test_the_chance_of_waiting_is_told_for_many_instances() -> None:
    assert erlang_c(np.array([5000.0, 5000.0]), np.array([3000.0, 4990.0])) == pytest.approx([0, 0.83], abs=0.02)
