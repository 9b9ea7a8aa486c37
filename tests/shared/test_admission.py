import gc
import logging
import threading
import weakref
from contextlib import ExitStack
from typing import Any

import pytest

from model_functions.artifact.manifest import MemoryNeed
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import InsufficientMemory, ModelTooLarge, ServingError
from model_functions.phases import Phases
from tests.shared.caches import MIB, PATIENCE_S, FakeLoader, Gate, refusal, running, use
from tests.shared.clocks import Clock

# Leaving.


def test_the_least_recently_used_model_leaves(cache: ModelCache) -> None:
    use(cache, "a", "b", "a", "c")
    assert cache.loaded() == ["a", "c"]
    use(cache, "b")
    assert cache.loaded() == ["b", "c"]
    assert cache.evictions == 2


def test_the_end_of_a_use_counts_and_not_its_beginning(cache: ModelCache) -> None:
    use(cache, "a", "b")
    with cache.use("a", Phases()):
        use(cache, "b")
    use(cache, "c")
    assert cache.loaded() == ["a", "c"]


def test_no_more_leave_than_must(loader: FakeLoader) -> None:
    small = MemoryNeed(runtime=100 * MIB, load=10 * MIB, model=10 * MIB)
    loader.needs = {"a": small, "b": small, "c": small}
    cache = ModelCache(loader, MemoryBudget(100 * MIB + 50 * MIB, 0))
    use(cache, "a", "b", "c", "d")
    assert cache.loaded() == ["b", "c", "d"]


def test_a_model_in_use_stays_and_leaves_afterwards(cache: ModelCache) -> None:
    with cache.use("a", Phases()):
        use(cache, "b", "c")
        assert cache.loaded() == ["a", "c"]
    use(cache, "d")
    assert cache.loaded() == ["a", "d"]
    use(cache, "e", "f")
    assert cache.loaded() == ["e", "f"]


def test_a_model_that_is_used_twice_is_in_use_until_both_end(cache: ModelCache) -> None:
    use(cache, "b")
    with ExitStack() as outer:
        outer.enter_context(cache.use("a", Phases()))
        with cache.use("a", Phases()):
            pass
        outer.enter_context(cache.use("b", Phases()))
        assert isinstance(refusal(cache, "c"), InsufficientMemory)


def test_a_use_that_fails_ends_too(cache: ModelCache) -> None:
    with pytest.raises(KeyError), cache.use("a", Phases()):
        raise KeyError
    use(cache, "b", "c")
    assert cache.loaded() == ["b", "c"]


def test_a_model_has_left_memory_before_the_next_one_comes(cache: ModelCache, loader: FakeLoader) -> None:
    with cache.use("a", Phases()) as model:
        model.wrapper.itself = model.wrapper  # type: ignore[attr-defined]
        gone = weakref.ref(model.wrapper)
    del model
    use(cache, "b")
    loader.during["c"] = lambda: found.append(gone())
    found: list[Any] = []
    gc.disable()
    try:
        use(cache, "c")
    finally:
        gc.enable()
    assert found == [None]


def test_a_model_that_left_is_loaded_again(cache: ModelCache, loader: FakeLoader) -> None:
    use(cache, "a", "b", "c", "a")
    assert loader.loads == ["a", "b", "c", "a"]


def test_an_eviction_is_logged(cache: ModelCache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    use(cache, "a", "b", "c")
    [record] = [record for record in caplog.records if record.getMessage() == "evicted a"]
    assert record.__dict__["fields"] == {"model": "a", "for": "c"}


# Not fitting.


def test_a_model_that_never_fits_is_refused_before_it_is_loaded(cache: ModelCache, loader: FakeLoader) -> None:
    use(cache, "a", "b")
    loader.needs["large"] = MemoryNeed(runtime=100 * MIB, load=1900 * MIB, model=900 * MIB)
    error = refusal(cache, "large")
    assert (type(error), error.status, error.headers) == (ModelTooLarge, 500, {})
    assert error.message == (
        "large needs 1.95 GiB, requests included, and this function has 150 MiB. Deploy it with --memory=4Gi."
    )
    assert loader.loads == ["a", "b"]
    assert cache.loaded() == ["a", "b"]


def test_a_model_for_which_no_function_is_large_enough_says_so(cache: ModelCache, loader: FakeLoader) -> None:
    loader.needs["huge"] = MemoryNeed(runtime=100 * MIB, load=40_000 * MIB, model=900 * MIB)
    assert refusal(cache, "huge").message.endswith("No function has more than 32Gi: publish a smaller one.")


def test_a_model_that_does_not_fit_beside_those_in_use_is_refused_for_now(
    cache: ModelCache, loader: FakeLoader, caplog: pytest.LogCaptureFixture
) -> None:
    with cache.use("a", Phases()), cache.use("b", Phases()):
        error = refusal(cache, "c")
        assert (type(error), error.status, error.headers["Retry-After"]) == (InsufficientMemory, 503, "1")
        assert error.message == (
            "c needs 30 MiB, and 10 MiB can be had while a is in use. "
            "Ask again in 1 s, or deploy the function with --memory=256Mi."
        )
    assert "no memory for c now" in caplog.messages
    use(cache, "c")
    assert loader.loads == ["a", "b", "c"]


def test_nothing_leaves_where_that_would_not_be_enough(cache: ModelCache, loader: FakeLoader) -> None:
    loader.needs["large"] = MemoryNeed(runtime=100 * MIB, load=50 * MIB, model=40 * MIB)
    use(cache, "b")
    with cache.use("a", Phases()):
        assert isinstance(refusal(cache, "large"), InsufficientMemory)
        assert cache.loaded() == ["a", "b"]


def test_a_load_in_flight_is_in_the_way_too(cache: ModelCache, loader: FakeLoader) -> None:
    loader.during["a"] = lambda: errors.append(refusal(cache, "b"))
    errors: list[ServingError] = []
    use(cache, "a")
    [error] = errors
    assert isinstance(error, InsufficientMemory)
    assert "while a is in use" in error.message
    use(cache, "b")


def test_who_waits_for_a_load_keeps_the_model_here(cache: ModelCache, loader: FakeLoader) -> None:
    """Between the end of the load and the moment at which a waiter takes the model, it cannot leave."""
    gate = loader.during["a"] = Gate()
    held, release = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with cache.use("a", Phases()):
            held.release()
            release.wait(PATIENCE_S)

    with running(hold, hold, hold):
        assert gate.begun.wait(PATIENCE_S)
        gate.open.set()
        assert held.acquire(timeout=PATIENCE_S)
        use(cache, "b", "c", "d")
        assert "a" in cache.loaded()
        release.set()
    assert loader.loads.count("a") == 1


def used_for(cache: ModelCache, clock: Clock, name: str, seconds: float) -> None:
    with cache.use(name, Phases()):
        clock.now += seconds


def test_the_wait_is_what_a_use_takes_less_what_it_has_taken(cache: ModelCache, clock: Clock) -> None:
    for _ in range(3):
        used_for(cache, clock, "a", 10.0)
    with cache.use("a", Phases()), cache.use("b", Phases()):
        for passed, told in ((0.0, "10"), (3.5, "7"), (6.0, "1"), (100.0, "1")):
            clock.now += passed
            assert refusal(cache, "c").headers["Retry-After"] == told


def test_the_wait_is_for_as_many_as_must_end(cache: ModelCache, clock: Clock, loader: FakeLoader) -> None:
    loader.needs["large"] = MemoryNeed(runtime=100 * MIB, load=50 * MIB, model=40 * MIB)
    used_for(cache, clock, "a", 10.0)
    with cache.use("a", Phases()):
        clock.now += 4.0
        with cache.use("b", Phases()):
            assert refusal(cache, "c").headers["Retry-After"] == "6"
            error = refusal(cache, "large")
    assert error.headers["Retry-After"] == "10"
    assert "while a and b are in use" in error.message


def test_the_wait_for_a_load_is_that_of_a_load_and_a_use(cache: ModelCache, clock: Clock, loader: FakeLoader) -> None:
    def load_slowly() -> None:
        clock.now += 20.0

    def be_asked_for_another() -> None:
        clock.now += 8.0
        waits.append(refusal(cache, "c").headers["Retry-After"])

    waits: list[str] = []
    loader.during = {"a": load_slowly, "b": be_asked_for_another}
    used_for(cache, clock, "a", 5.0)
    use(cache, "b")
    assert waits == ["17"]


def test_a_refusal_for_now_is_not_remembered(cache: ModelCache) -> None:
    with cache.use("a", Phases()), cache.use("b", Phases()):
        refusal(cache, "c")
    use(cache, "c")
