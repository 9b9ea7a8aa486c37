import pytest

from model_functions import backoff
from model_functions.backoff import Backoff
from model_functions.errors import ArtifactRefused, ModelTooLarge, ServingError, StoreUnavailable
from tests.shared.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Backoff:
    return Backoff(clock)


def remembered(failures: Backoff, name: str = "a") -> ServingError:
    with pytest.raises(ServingError) as caught:
        failures.check(name)
    return caught.value


def test_the_waits_double_up_to_a_minute(failures: Backoff, clock: Clock) -> None:
    waits = []
    for _ in range(8):
        told = failures.remember("a", ArtifactRefused("broken"))
        waits.append(int(told.headers["Retry-After"]))
        clock.now += waits[-1]
        failures.check("a")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_failure_counts_until_its_time_is_over(failures: Backoff, clock: Clock) -> None:
    for _ in range(3):
        failures.remember("a", ArtifactRefused("broken"))
    clock.now += 1.5
    assert remembered(failures).headers["Retry-After"] == "3"
    clock.now += 2.4
    assert remembered(failures).headers["Retry-After"] == "1"
    clock.now += 0.1
    failures.check("a")


def test_a_success_forgets(failures: Backoff) -> None:
    for _ in range(5):
        failures.remember("a", ArtifactRefused("broken"))
    failures.forget("a")
    failures.check("a")
    assert failures.remember("a", ArtifactRefused("broken")).headers["Retry-After"] == "1"


def test_a_name_says_nothing_about_another(failures: Backoff) -> None:
    failures.remember("a", ArtifactRefused("broken"))
    failures.check("b")


def test_a_store_that_is_away_is_asked_again_after_a_second_always(failures: Backoff, clock: Clock) -> None:
    for _ in range(8):
        failures.remember("a", StoreUnavailable("away"))
        assert remembered(failures).headers["Retry-After"] == "1"
        clock.now += 1
        failures.check("a")


def test_an_error_that_asks_for_more_time_gets_it(failures: Backoff) -> None:
    failures.remember("a", StoreUnavailable("away", retry_after=5))
    assert remembered(failures).headers["Retry-After"] == "5"


def test_only_a_503_promises_that_a_retry_helps(failures: Backoff) -> None:
    failures.remember("a", ModelTooLarge("too large"))
    assert remembered(failures).headers == {}


def test_each_request_gets_an_error_of_its_own(failures: Backoff) -> None:
    error = ArtifactRefused("broken", details=[{"path": "x"}], headers={"X-Test": "1"})
    try:
        raise error
    except ArtifactRefused:
        failures.remember("a", error)
    first, second = remembered(failures), remembered(failures)
    assert first is not second
    assert (type(second), second.message, str(second)) == (ArtifactRefused, "broken", "broken")
    assert (second.details, second.headers["X-Test"]) == ([{"path": "x"}], "1")
    first.headers["X-Test"] = "2"
    assert remembered(failures).headers["X-Test"] == "1"
    assert error.headers == {"X-Test": "1"}


def test_the_names_that_are_remembered_are_limited(failures: Backoff) -> None:
    for number in range(backoff.MOST + 1):
        failures.remember(f"model_{number}", StoreUnavailable("away"))
    failures.check("model_0")
    remembered(failures, "model_1")
