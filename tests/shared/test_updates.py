import logging
import threading
from typing import Any, cast

import pytest

from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import ServingError, StoreUnavailable
from model_functions.phases import Phases
from model_functions.updates import AWAY_S, Updates
from tests.shared.caches import MIB, PATIENCE_S, Gate, running, use
from tests.shared.clocks import Clock
from tests.shared.revisions import BOTH, NEED, REFRESH_S, FakeStore, Instance, errors, freed, released

pytestmark = pytest.mark.usefixtures("short_drain")


# Looking.


def test_a_moved_alias_is_followed_after_the_interval(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    assert instance.after(REFRESH_S - 0.1) == ("one", False)
    assert instance.after(0.1) == ("two", False)
    freed(store, "two")
    assert (instance.updates.updates, instance.updates.failures, store.loads) == (1, 0, ["one", "two"])
    assert released(instance) == NEED.runtime + NEED.model


def test_there_is_one_look_an_interval_whatever_the_requests(instance: Instance, store: FakeStore) -> None:
    for _ in range(10):
        instance.clock.now += REFRESH_S / 5
        for _ in range(50):
            instance.asked()
        instance.look()
    assert store.looks == 2


def test_no_second_look_is_due_while_one_goes_on(instance: Instance, store: FakeStore) -> None:
    instance.clock.now += REFRESH_S
    instance.asked()
    name = instance.cache.due.get()

    def take_long() -> None:
        instance.clock.now += 10 * REFRESH_S
        instance.asked()
        assert instance.cache.due.empty()

    store.aliases["a"] = "two"
    store.during["two"] = take_long
    instance.updates.look(name)
    assert instance.asked() == ("two", False)
    assert not instance.cache.due.empty(), "the next one, at once: this one took longer than the interval"


def test_an_instance_that_nobody_asks_never_looks(instance: Instance, store: FakeStore) -> None:
    instance.clock.now += 1000
    assert (instance.look(), store.looks) == (0, 0)


def test_a_cache_that_is_told_no_interval_makes_nothing_due(store: FakeStore, clock: Clock) -> None:
    cache = ModelCache(store, MemoryBudget[Any](BOTH, 0), clock)
    use(cache, "a")
    clock.now += 1e9
    use(cache, "a")
    assert cache.due.empty()


def test_what_is_due_is_looked_at_beside_the_requests(store: FakeStore, clock: Clock) -> None:
    instance = Instance(store, clock)
    instance.asked()
    gate = store.during["two"] = Gate()
    store.aliases["a"] = "two"
    instance.updates.start()
    clock.now += REFRESH_S
    assert instance.asked() == ("one", False)
    assert gate.begun.wait(PATIENCE_S)
    assert instance.asked() == ("one", False), "no request waits for the load"
    gate.open.set()
    freed(store, "two")
    assert instance.asked() == ("two", False)


# No store.


def test_a_store_that_is_away_makes_stale_and_is_looked_at_rarely(
    store: FakeStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = ModelCache(store, MemoryBudget[Any](BOTH, 0), clock, refresh_s=1)
    instance = Instance(store, clock)
    instance.cache, instance.updates = cache, Updates(cache, store, 1, clock)
    instance.asked()
    store.away = StoreUnavailable("The store is away.", retry_after=5)
    assert instance.after(1) == ("one", True)
    for _ in range(60 * 8):
        assert instance.after(0.125) == ("one", True)
    assert store.looks == 1 + 60 / AWAY_S
    assert [r.levelname for r in caplog.records if "is not updated" in r.getMessage()] == ["WARNING"]
    store.away = None
    assert instance.after(AWAY_S) == ("one", False)
    assert caplog.messages[-1] == "a serves what its alias names again"


def test_a_store_that_goes_away_during_the_load_is_no_fault_of_the_revision(
    instance: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = StoreUnavailable("The store is away.")
    assert instance.after(REFRESH_S) == ("one", True)
    assert (errors(caplog), instance.updates.failures) == ([], 0)
    del store.failing["two"]
    assert instance.after(REFRESH_S) == ("two", False)


def test_a_model_whose_alias_was_deleted_is_served_on(
    instance: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    del store.aliases["a"]
    for _ in range(5):
        assert instance.after(REFRESH_S) == ("one", True)
    assert errors(caplog) == []


def test_a_failure_that_nobody_foresaw_leaves_the_model_there(instance: Instance, store: FakeStore) -> None:
    del store.aliases
    for _ in range(3):
        assert instance.after(REFRESH_S) == ("one", True)
    assert instance.updates.failures == 1


# All at once.


def test_flips_under_requests_never_mix_or_fail(store: FakeStore) -> None:
    cache = ModelCache(store, MemoryBudget[Any](BOTH + 60 * MIB, 0), refresh_s=0.01)
    updates = Updates(cache, store, 0.01)
    updates.start()
    stop = threading.Event()
    seen: set[str] = set()
    wrong: list[Any] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                with cache.use("a", Phases()) as model:
                    revision = cast(Any, model.wrapper).revision
                    if model.manifest.description != revision:
                        wrong.append(revision)
                    seen.add(revision)
            except ServingError as error:
                wrong.append(error)
            stop.wait(0.001)

    with running(*[ask] * 6):
        for number in range(8):
            store.aliases["a"] = f"r{number}"
            for _ in range(300):
                if f"r{number}" in seen:
                    break
                stop.wait(0.01)
        stop.set()
    assert wrong == []
    assert {f"r{number}" for number in range(8)} <= seen
    freed(store, "r7")
