import gc
import logging
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, cast

import pytest

from model_functions.artifact.manifest import EngineRecord, Manifest, MemoryNeed, WeightsLayout
from model_functions.budget import MemoryBudget
from model_functions.cache import LoadedModel, ModelCache
from model_functions.caller import Caller
from model_functions.errors import (
    ArtifactRefused,
    CallerGone,
    DeadlineExceeded,
    InsufficientMemory,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    ServingError,
    StoreUnavailable,
)
from model_functions.phases import Phases
from model_functions.wrapper import ModelWrapper
from tests.shared.clocks import Clock

MIB = 2**20

#: Room for the runtime and two models, one of them just being loaded.
LIMIT = 100 * MIB + 20 * MIB + 30 * MIB
NEED = MemoryNeed(runtime=100 * MIB, load=30 * MIB, model=20 * MIB)

#: Seconds after which a test that hangs gives up.
PATIENCE_S = 20


class Model:
    """What stands for a wrapper."""


def manifest(name: str, need: MemoryNeed) -> Manifest:
    return Manifest(
        family="tabular",
        name=name,
        description="",
        wrapper="",
        engine=EngineRecord("sklearn"),
        memory=need,
        weights=WeightsLayout(0, 0),
        python="",
        packages={},
        files={},
        globals=(),
        interface={},
        examples=[],
    )


class FakeLoader:
    """Loads nothing, and keeps a record of it.

    Each field by a model's name: ``needs`` says its memory instead of NEED, ``during`` is called while it loads,
    ``failing`` is raised then.
    """

    def __init__(self) -> None:
        self.needs: dict[str, MemoryNeed] = {}
        self.resolved: list[str] = []
        self.loads: list[str] = []
        self.during: dict[str, Callable[[], object]] = {}
        self.failing: dict[str, BaseException] = {}

    def resolve(self, name: str, phases: Phases) -> Manifest:
        self.resolved.append(name)
        if name == "nope":
            raise ModelNotFound("No such model.")
        return manifest(name, self.needs.get(name, NEED))

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        self.loads.append(manifest.name)
        with phases("load"):
            self._load(manifest)
        return cast(ModelWrapper, Model())

    def _load(self, manifest: Manifest) -> None:
        self.during.get(manifest.name, lambda: None)()
        if manifest.name in self.failing:
            raise self.failing[manifest.name]

    def load_tested(self, manifest: Manifest) -> ModelWrapper:
        return self.load(manifest, Phases())

    def aimed(self, name: str) -> str:
        return self.resolve(name, Phases()).digest


class Gate:
    """A load that has begun, and goes on when it may."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(PATIENCE_S)


@pytest.fixture(autouse=True)
def few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection looks at what the test has made, and not through all that the process has loaded before it."""
    gc.freeze()
    monkeypatch.setattr(gc, "unfreeze", lambda: None)


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(loader: FakeLoader, clock: Clock) -> ModelCache:
    return ModelCache(loader, MemoryBudget(LIMIT, 0), clock)


def use(cache: ModelCache, *names: str) -> None:
    for name in names:
        with cache.use(name, Phases()):
            pass


def refusal(cache: ModelCache, name: str) -> ServingError:
    with pytest.raises(ServingError) as caught:
        use(cache, name)
    return caught.value


@contextmanager
def running(*targets: Callable[[], object]) -> Iterator[None]:
    """The targets in a thread each, until all have ended."""
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"


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
