import threading

import pytest

from model_functions import succession
from model_functions.artifact.manifest import MemoryNeed
from model_functions.errors import (
    ArtifactRefused,
    InsufficientMemory,
    ManifestInvalid,
    PythonMismatch,
    SelfTestFailed,
    SelfTestHangs,
    StoreUnavailable,
)
from model_functions.phases import Phases
from tests.shared.caches import MIB, PATIENCE_S, Gate, refusal
from tests.shared.clocks import Clock
from tests.shared.revisions import BOTH, NEED, REFRESH_S, FakeStore, Instance, errors, freed, released, told

pytestmark = pytest.mark.usefixtures("short_drain")


# Taking another's place.


def test_requests_that_run_keep_their_revision_and_free_it_with_the_last(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    use_of_one = instance.cache.use("a", Phases())
    with use_of_one as model:
        assert instance.after(REFRESH_S) == ("two", False)
        assert told(model) == ("one", False)
        with use_of_one.again():
            pass
        assert store.alive() == ["one", "two"]
        assert instance.cache.memory_used == NEED.runtime + 2 * NEED.model
    del model, use_of_one
    freed(store, "two")
    assert released(instance) == NEED.runtime + NEED.model


def test_a_stream_holds_its_revision_beyond_the_block_it_began_in(instance: Instance, store: FakeStore) -> None:
    use_of_one = instance.cache.use("a", Phases())
    with use_of_one:
        stream = use_of_one.again()
        stream.__enter__()
    store.aliases["a"] = "two"
    assert instance.after(REFRESH_S) == ("two", False)
    threading.Event().wait(0.1)
    assert store.alive() == ["one", "two"]
    stream.__exit__()
    freed(store, "two")


def test_idle_models_make_room_before_a_revision_waits(store: FakeStore, clock: Clock) -> None:
    store.aliases["b"] = "other"
    instance = Instance(store, clock)
    instance.asked()
    instance.asked("b")
    store.aliases["a"] = "two"
    assert instance.after(REFRESH_S) == ("two", False)
    freed(store, "two")
    assert (instance.cache.loaded(), instance.cache.evictions) == (["a"], 1)


def test_a_model_that_was_unloaded_while_its_revision_came_stays_away(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.during["two"] = lambda: instance.cache.unload("a")
    instance.clock.now += REFRESH_S
    instance.asked()
    instance.look()
    assert (instance.cache.loaded(), instance.cache.unloaded()) == ([], frozenset("a"))
    assert (store.alive(), instance.cache.memory_used, instance.updates.updates) == ([], 0, 0)
    store.during.clear()
    assert instance.asked() == ("two", False)


def test_a_model_that_was_evicted_while_its_revision_came_stays_away(store: FakeStore, clock: Clock) -> None:
    store.aliases["b"] = "other"
    instance = Instance(store, clock)
    instance.asked()
    store.aliases["a"] = "two"
    store.needs["other"] = MemoryNeed(100 * MIB, 15 * MIB, 15 * MIB)
    store.during["two"] = lambda: instance.asked("b")
    instance.clock.now += REFRESH_S
    instance.asked()
    instance.look()
    assert (instance.cache.loaded(), store.alive()) == (["b"], ["other"])
    assert instance.cache.memory_used == 115 * MIB


# Where there is no room for both.


@pytest.fixture
def narrow(store: FakeStore, clock: Clock) -> Instance:
    instance = Instance(store, clock, BOTH - 1)
    instance.asked()
    return instance


def test_a_revision_comes_after_the_old_one_where_both_do_not_fit(narrow: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    alive: list[list[str]] = []
    store.during["two"] = lambda: alive.append(store.alive())
    assert narrow.after(REFRESH_S) == ("two", False)
    assert (alive, store.loads) == ([[]], ["one", "two"])
    assert narrow.cache.memory_used == NEED.runtime + NEED.model


def test_requests_wait_for_a_revision_that_comes_after_and_running_ones_end_first(
    store: FakeStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "DRAIN_S", PATIENCE_S)
    narrow = Instance(store, clock, BOTH - 1)
    narrow.asked()
    gate = store.during["two"] = Gate()
    store.aliases["a"] = "two"
    narrow.updates.start()
    clock.now += REFRESH_S
    answers: list[tuple[str, bool]] = []
    with narrow.cache.use("a", Phases()) as model:
        for _ in range(200):
            if not narrow.cache.has("a"):
                break
            threading.Event().wait(0.01)
        assert not narrow.cache.has("a"), "so that no event loop waits for it"
        assert not gate.begun.is_set(), "somebody uses the old one"
        assert told(model) == ("one", False)
        waiting = [threading.Thread(target=lambda: answers.append(narrow.asked())) for _ in range(8)]
        for thread in waiting:
            thread.start()
        del model
    assert gate.begun.wait(PATIENCE_S)
    gate.open.set()
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert answers == [("two", False)] * 8


def test_a_bad_revision_that_came_after_gives_way_to_the_old_one(
    narrow: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = SelfTestFailed("two answers otherwise.")
    assert narrow.after(REFRESH_S) == ("one", True)
    assert store.loads == ["one", "two", "one"]
    assert narrow.cache.memory_used == NEED.runtime + NEED.model
    assert narrow.after(REFRESH_S) == ("one", True)
    assert len(store.loads) == 3
    assert len(errors(caplog)) == 1


def test_an_old_revision_that_cannot_come_back_is_what_the_next_request_loads(
    narrow: Instance, store: FakeStore
) -> None:
    store.aliases["a"] = "two"
    store.failing = {"two": ArtifactRefused("two is broken."), "one": StoreUnavailable("The store is away.")}
    narrow.clock.now += REFRESH_S
    narrow.asked()
    narrow.look()
    assert refusal(narrow.cache, "a").message == "The store is away."
    del store.failing["one"]
    narrow.clock.now += 2
    assert narrow.asked() == ("one", True), "and not the one that was refused"


def test_an_old_revision_comes_back_from_a_store_that_was_away_for_a_moment(
    store: FakeStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "DRAIN_S", PATIENCE_S)
    narrow = Instance(store, clock, BOTH - 1)
    narrow.asked()
    store.aliases["a"] = "two"
    store.failing = {"two": StoreUnavailable("The store is away."), "one": StoreUnavailable("The store is away.")}
    store.during["one"] = lambda: store.failing.pop("one") if store.loads.count("one") == 3 else None
    assert narrow.after(REFRESH_S) == ("one", True)
    assert store.loads == ["one", "two", "one", "one"]


def test_requests_without_end_put_off_a_revision_that_must_come_after(narrow: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    with narrow.cache.use("a", Phases()) as model:
        assert narrow.after(REFRESH_S) == ("one", True)
        assert narrow.asked() == ("one", True)
        del model
    assert store.loads == ["one"]
    assert narrow.after(REFRESH_S) == ("two", False)


def test_a_revision_that_finds_no_room_beside_others_in_use_comes_later(store: FakeStore, clock: Clock) -> None:
    store.aliases["b"] = "other"
    store.needs["other"] = MemoryNeed(100 * MIB, 20 * MIB, 20 * MIB)
    instance = Instance(store, clock, BOTH - 1)
    instance.asked()
    with instance.cache.use("b", Phases()):
        store.aliases["a"] = "two"
        assert instance.after(REFRESH_S) == ("one", True)
        assert instance.cache.loaded() == ["a", "b"]
    assert instance.updates.failures == 0
    assert instance.after(REFRESH_S) == ("two", False)


def test_a_revision_for_whose_files_there_is_no_room_comes_once_there_is(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = InsufficientMemory("No room in /tmp.", retry_after=5)
    assert instance.after(REFRESH_S) == ("one", True)
    assert instance.updates.failures == 0
    store.failing.clear()
    assert instance.after(REFRESH_S) == ("two", False)
    freed(store, "two")


# Bad ones.


@pytest.mark.parametrize(
    "failure",
    [
        ManifestInvalid("The manifest is no JSON document."),
        PythonMismatch("a was published with Python 3.9."),
        SelfTestFailed("It answers its sample otherwise."),
        RuntimeError("secret"),
        SystemExit(1),
        MemoryError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_bad_revision_is_refused_once_and_the_old_one_serves_on(
    instance: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture, failure: BaseException
) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = failure
    revision = store.manifest("a").revision
    for _ in range(2):
        assert instance.after(REFRESH_S - 1) == ("one", instance.updates.failures > 0)
    for _ in range(20):
        assert instance.after(1) == ("one", True)
    [line] = errors(caplog)
    assert line.startswith(f"a is not updated to {revision}: ")
    assert "secret" not in line
    assert (instance.updates.updates, instance.updates.failures, store.loads) == (0, 1, ["one", "two"])
    assert instance.cache.memory_used == NEED.runtime + NEED.model
    store.aliases["a"] = "three"
    assert instance.after(REFRESH_S) == ("three", False)
    freed(store, "three")


def test_a_bad_revision_is_tried_again_ever_more_rarely(
    instance: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = ArtifactRefused("two is broken.")
    for _ in range(120):
        instance.after(REFRESH_S)
    assert store.loads.count("two") == 6, "after 0, 1, 3, 7, 15 and 31 minutes of an hour"
    assert len(errors(caplog)) == 1
    store.failing.clear()
    for _ in range(80):
        instance.after(REFRESH_S)
    assert instance.asked() == ("two", False)


def test_a_revision_that_hangs_is_never_tried_again_and_keeps_its_memory(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = SelfTestHangs("two does not answer its sample.", ended=False)
    for _ in range(200):
        assert instance.after(REFRESH_S) == ("one", True)
    assert store.loads == ["one", "two"]
    assert instance.cache.memory_used == NEED.runtime + NEED.model + NEED.load
    store.failing["two"] = SelfTestHangs("two does not answer its sample.", ended=True)


def test_the_memory_of_a_hang_that_ended_is_free(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = SelfTestHangs("two does not answer its sample.", ended=True)
    assert instance.after(REFRESH_S) == ("one", True)
    assert instance.cache.memory_used == NEED.runtime + NEED.model


def test_a_revision_too_large_for_the_instance_is_refused_before_it_is_loaded(
    instance: Instance, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.aliases["a"] = "two"
    store.needs["two"] = MemoryNeed(100 * MIB, 900 * MIB, 900 * MIB)
    assert instance.after(REFRESH_S) == ("one", True)
    assert store.loads == ["one"]
    assert "a needs 1000 MiB, requests included, and this function has 150 MiB." in errors(caplog)[0]
    instance.cache.unload("a")
    assert instance.asked() == ("one", True)


def test_an_alias_back_at_what_is_served_ends_the_staleness(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = ArtifactRefused("two is broken.")
    assert instance.after(REFRESH_S) == ("one", True)
    store.aliases["a"] = "one"
    assert instance.after(REFRESH_S) == ("one", False)
    assert store.loads == ["one", "two"]


def test_a_model_that_was_refused_does_not_come_back_by_being_unloaded(instance: Instance, store: FakeStore) -> None:
    store.aliases["a"] = "two"
    store.failing["two"] = SelfTestFailed("two answers otherwise.")
    instance.after(REFRESH_S)
    store.failing.clear()
    instance.cache.unload("a")
    assert instance.asked() == ("one", True)


def test_an_alias_that_cannot_be_read_leaves_what_was_served_loadable(instance: Instance, store: FakeStore) -> None:
    store.away = ManifestInvalid("An old alias was put back.")
    assert instance.after(REFRESH_S) == ("one", True)
    instance.cache.unload("a")
    assert instance.asked() == ("one", True)
