import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from model_functions.artifact.manifest import MemoryNeed
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.caller import Caller
from model_functions.errors import (
    ArtifactRefused,
    CallerGone,
    DeadlineExceeded,
    InsufficientMemory,
    ModelNotFound,
    ModelUnavailable,
    ServingError,
    StoreUnavailable,
)
from model_functions.loaded import LoadedModel
from model_functions.phases import Phases
from tests.shared.caches import LIMIT, MIB, NEED, PATIENCE_S, FakeLoader, Gate, Model, refusal, running, use
from tests.shared.clocks import Clock

# Loading once.


def test_the_first_request_loads_and_the_second_finds(cache: ModelCache, loader: FakeLoader) -> None:
    warm = Phases()
    with cache.use("a", Phases()) as first:
        pass
    with cache.use("a", warm) as second:
        assert second is first
    assert (warm.milliseconds, loader.loads, cache.loaded()) == ({}, ["a"], ["a"])


def test_a_hundred_first_requests_load_once(cache: ModelCache, loader: FakeLoader) -> None:
    start = threading.Barrier(100)
    found: list[LoadedModel] = []

    def ask() -> None:
        start.wait(PATIENCE_S)
        with cache.use("a", Phases()) as model:
            found.append(model)

    with running(*[ask] * 100):
        pass
    assert len(found) == 100
    assert len(set(map(id, found))) == 1
    assert loader.loads == ["a"]


def test_who_waits_for_anothers_load_has_that_in_the_phases(cache: ModelCache, loader: FakeLoader) -> None:
    gate = loader.during["a"] = Gate()
    waiting = Phases()

    def wait() -> None:
        threading.Timer(0.05, gate.open.set).start()
        with cache.use("a", waiting):
            pass

    with running(lambda: use(cache, "a")):
        assert gate.begun.wait(PATIENCE_S)
        wait()
    assert list(waiting.milliseconds) == ["wait"]


def test_a_load_goes_on_for_the_next_one_when_its_caller_waits_no_longer(cache: ModelCache, loader: FakeLoader) -> None:
    gate, phases, gone = Gate(), Phases(), Caller()
    loader.during["a"] = gate
    with pytest.raises(DeadlineExceeded), cache.use("a", phases, Caller(0.05)):
        pass
    assert gate.begun.is_set()
    threading.Timer(0.05, gone.hang_up).start()
    with pytest.raises(CallerGone), cache.use("a", Phases(), gone):
        pass
    assert phases.milliseconds == {}
    with running(lambda: use(cache, "a")):
        gate.open.set()
    assert (loader.loads, cache.loaded()) == (["a"], ["a"])


def test_what_the_load_took_is_in_the_phases_of_who_asked_first(cache: ModelCache, loader: FakeLoader) -> None:
    loader.during["a"] = lambda: time.sleep(0.01)
    phases = Phases()
    with cache.use("a", phases):
        pass
    assert phases.milliseconds["load"] >= 10


def test_different_models_load_side_by_side(loader: FakeLoader) -> None:
    both = threading.Barrier(2)
    loader.during = {name: lambda: both.wait(PATIENCE_S) for name in ("a", "b")}
    cache = ModelCache(loader, MemoryBudget(LIMIT * 2, 0))
    with running(lambda: use(cache, "a"), lambda: use(cache, "b")):
        pass
    assert cache.loaded() == ["a", "b"]


def test_a_loaded_model_answers_while_another_loads(cache: ModelCache, loader: FakeLoader) -> None:
    use(cache, "a")
    gate = loader.during["b"] = Gate()
    with running(lambda: use(cache, "b")):
        assert gate.begun.wait(PATIENCE_S)
        use(cache, "a")
        assert cache.loaded() == ["a"]
        gate.open.set()
    assert cache.loaded() == ["a", "b"]


# Failing.


def test_a_load_that_fails_is_not_tried_for_every_request(cache: ModelCache, loader: FakeLoader, clock: Clock) -> None:
    loader.failing["a"] = ArtifactRefused("a is broken.")
    waits = []
    for _ in range(4):
        waits.append(refusal(cache, "a").headers["Retry-After"])
        for _ in range(50):
            assert refusal(cache, "a").message == "a is broken."
        clock.now += int(waits[-1])
    assert waits == ["1", "2", "4", "8"]
    assert len(loader.loads) == len(loader.resolved) == 4


def test_a_model_that_is_mended_loads_after_the_wait(cache: ModelCache, loader: FakeLoader, clock: Clock) -> None:
    loader.failing["a"] = ArtifactRefused("a is broken.")
    refusal(cache, "a")
    loader.failing.clear()
    clock.now += 1
    use(cache, "a")
    assert cache.loaded() == ["a"]


def test_a_success_forgets_the_failures_before_it(cache: ModelCache, loader: FakeLoader, clock: Clock) -> None:
    broken = ArtifactRefused("a is broken.")
    for failing in (True, True, False):
        loader.failing = {"a": broken} if failing else {}
        with suppress(ArtifactRefused):
            use(cache, "a")
        clock.now += 4
    use(cache, "b", "c")
    loader.failing = {"a": broken}
    assert refusal(cache, "a").headers["Retry-After"] == "1"


def test_a_failure_says_nothing_about_other_models(cache: ModelCache, loader: FakeLoader) -> None:
    loader.failing["a"] = ArtifactRefused("a is broken.")
    refusal(cache, "a")
    use(cache, "b")


def test_a_store_that_comes_back_is_used_within_a_second(cache: ModelCache, loader: FakeLoader, clock: Clock) -> None:
    loader.failing["a"] = StoreUnavailable("The store is away.")
    for _ in range(10):
        refusal(cache, "a")
        clock.now += 1
    loader.failing.clear()
    use(cache, "a")


def test_a_model_that_is_not_there_is_looked_for_again(cache: ModelCache, loader: FakeLoader) -> None:
    for _ in range(2):
        error = refusal(cache, "nope")
        assert (type(error), error.headers) == (ModelNotFound, {})
    assert loader.resolved == ["nope", "nope"]
    assert cache.loaded() == []


@pytest.mark.parametrize("raised", [RuntimeError("secret"), MemoryError(), SystemExit(1), KeyboardInterrupt()])
def test_a_load_that_raises_anything_gives_its_memory_back(
    cache: ModelCache, loader: FakeLoader, raised: BaseException
) -> None:
    loader.failing["a"] = raised
    error = refusal(cache, "a")
    assert (type(error), error.headers["Retry-After"]) == (ModelUnavailable, "1")
    assert error.message == f"a cannot be loaded now ({type(raised).__name__}). The function's log has the reason."
    assert (cache.memory_used, cache.loaded()) == (0, [])
    use(cache, "b", "c")


def test_all_who_wait_hear_of_the_failure_each_by_itself(cache: ModelCache, loader: FakeLoader) -> None:
    loader.failing["a"] = ArtifactRefused("a is broken.")
    loader.during["a"] = lambda: threading.Event().wait(0.2)
    start = threading.Barrier(20)
    errors: list[ServingError] = []

    def ask() -> None:
        start.wait(PATIENCE_S)
        errors.append(refusal(cache, "a"))

    with running(*[ask] * 20):
        pass
    assert {error.message for error in errors} == {"a is broken."}
    assert len(set(map(id, errors))) == len({id(error.headers) for error in errors}) == 20
    assert loader.loads == ["a"]


def test_a_remembered_failure_holds_nothing_of_what_was_loaded(cache: ModelCache, loader: FakeLoader) -> None:
    held: list[weakref.ref[Model]] = []

    def fail() -> None:
        data = Model()
        held.append(weakref.ref(data))
        raise ArtifactRefused("a is broken.")

    loader.during["a"] = fail
    refusal(cache, "a")
    assert held[0]() is None


# Unloading.


def test_an_unloaded_model_is_gone_and_the_next_request_loads_it_again(cache: ModelCache, loader: FakeLoader) -> None:
    use(cache, "a", "b")
    with cache.use("a", Phases()) as model:
        gone = weakref.ref(model.wrapper)
    del model
    used = cache.memory_used
    cache.unload("a")
    assert gone() is None
    assert (cache.loaded(), cache.unloaded()) == (["b"], frozenset("a"))
    assert cache.memory_used == used - NEED.model
    use(cache, "a")
    assert (loader.loads, cache.loaded(), cache.unloaded()) == (["a", "b", "a"], ["a", "b"], frozenset())
    assert cache.evictions == 0


def test_a_model_in_use_is_unloaded_behind_its_last_user(cache: ModelCache) -> None:
    with cache.use("a", Phases()) as model:
        with cache.use("a", Phases()):
            cache.unload("a")
        assert cache.loaded() == ["a"]
        assert [one is model for one in cache.models()] == [True]
    assert cache.loaded() == []
    assert cache.memory_used == 0


def test_unloading_what_is_not_loaded_changes_nothing(cache: ModelCache, loader: FakeLoader) -> None:
    gate = loader.during["b"] = Gate()
    with running(lambda: use(cache, "b")):
        assert gate.begun.wait(PATIENCE_S)
        cache.unload("a")
        cache.unload("b")
        gate.open.set()
    assert (cache.loaded(), cache.unloaded()) == (["b"], frozenset("a"))


# All at once.


def test_many_threads_never_take_more_than_there_is(loader: FakeLoader) -> None:
    """What is surely in memory, models in use and loads in flight, is counted apart from the budget's own count."""
    sizes = {f"m{number}": (number + 1) * 10 * MIB for number in range(6)}
    loader.needs = {name: MemoryNeed(100 * MIB, size * 3 // 2, size) for name, size in sizes.items()}
    limit = 100 * MIB + 120 * MIB
    cache = ModelCache(loader, MemoryBudget(limit, 0))
    lock = threading.Lock()
    loading, using, most, answers = Counter[str](), Counter[str](), [0], Counter[str]()

    def count() -> None:
        sure = sum(sizes[name] for name in +using) + sum(loader.needs[name].load for name in +loading)
        most[0] = max(most[0], 100 * MIB + sure, cache.memory_used)

    @contextmanager
    def counted(counts: Counter[str], name: str) -> Iterator[None]:
        with lock:
            counts[name] += 1
            count()
        try:
            yield
        finally:
            with lock:
                counts[name] -= 1

    def load(name: str) -> Callable[[], None]:
        def step() -> None:
            with counted(loading, name):
                assert loading[name] == 1
                threading.Event().wait(0.0005)
                if random.random() < 0.05:
                    raise ModelNotFound("gone for a moment")

        return step

    loader.during = {name: load(name) for name in sizes}

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(150):
            name = chance.choice(list(sizes))
            try:
                with cache.use(name, Phases()), counted(using, name):
                    assert name in cache.loaded()
                answers["used"] += 1
            except (InsufficientMemory, ModelNotFound) as error:
                answers[type(error).__name__] += 1

    with running(*[lambda seed=seed: ask(seed) for seed in range(8)]):
        pass
    assert sum(answers.values()) == 8 * 150
    assert answers["used"] > 100
    assert cache.evictions > 10
    assert most[0] <= limit
    # Not one of theirs, whose load might fail by chance, or just have failed.
    use(cache, "another")
    assert cache.memory_used <= limit
