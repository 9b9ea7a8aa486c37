"""The cache beside a model of it, which says in few words what it must do, through any course of events."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model_functions import memory
from model_functions.artifact.manifest import MemoryNeed
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import InsufficientMemory, ModelTooLarge, StoreUnavailable
from model_functions.phases import Phases
from tests.shared.caches import FakeLoader
from tests.shared.clocks import Clock

RUNTIME, LIMIT = 10, 110
#: By name: bytes while it is loaded, and afterwards. The last fits nowhere.
NEEDS = {"a": (20, 20), "b": (40, 30), "c": (60, 40), "d": (90, 50), "e": (100, 100), "f": (101, 1)}
#: Seconds for which a store that failed is not asked again.
PAUSE_S = 1

names = st.sampled_from(list(NEEDS))


class CacheBesideItsModel(RuleBasedStateMachine):
    """What is loaded, in the order of its last use, who uses it, and what fails."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.loader = Clock(), FakeLoader()
        self.loader.needs = {name: MemoryNeed(RUNTIME, load, model) for name, (load, model) in NEEDS.items()}
        self.cache = ModelCache(self.loader, MemoryBudget(LIMIT, 0), self.clock)
        self.loaded: list[str] = []
        self.users: list[tuple[str, Any]] = []
        self.leaving: set[str] = set()
        self.failed: dict[str, float] = {}
        self.loads: list[str] = []

    # What the model says.

    def used(self, name: str) -> bool:
        return any(name == other for other, _ in self.users)

    def taken(self, *, but: list[str]) -> int:
        return sum(NEEDS[name][1] for name in self.loaded if name not in but)

    def expected(self, name: str) -> type[BaseException] | None:
        """What a use raises; for a load that succeeds, the models that have to go are gone afterwards."""
        if name in self.loaded:
            return None
        if self.failed.get(name, 0.0) > self.clock():
            return type(self.loader.failing.get(name, StoreUnavailable("")))
        need = NEEDS[name][0]
        if RUNTIME + need > LIMIT:
            return ModelTooLarge
        going: list[str] = []
        for idle in [name for name in self.loaded if not self.used(name)]:
            if RUNTIME + need + self.taken(but=going) <= LIMIT:
                break
            going.append(idle)
        if RUNTIME + need + self.taken(but=going) > LIMIT:
            return InsufficientMemory
        self.loaded = [name for name in self.loaded if name not in going]
        self.loads.append(name)
        if name in self.loader.failing:
            self.failed[name] = self.clock() + PAUSE_S
            return StoreUnavailable
        self.loaded.append(name)
        return None

    def left(self, name: str) -> None:
        self.loaded.remove(name)
        if name in self.leaving and not self.used(name):
            self.leaving.discard(name)
        else:
            self.loaded.append(name)

    # What happens.

    @rule(name=names, holds=st.booleans())
    def use(self, name: str, holds: bool) -> None:
        error = self.expected(name)
        using = self.cache.use(name, Phases())
        if error is not None:
            with pytest.raises(error):
                using.__enter__()
            # What fails for good is remembered a while too, longer each time.
            if error is ModelTooLarge:
                self.clock.now += 100
            return
        model = using.__enter__()
        assert model.manifest.name == name
        if holds:
            self.users.append((name, using))
        else:
            using.__exit__()
            self.left(name)

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def stop_using(self, data: st.DataObject) -> None:
        name, using = self.users.pop(data.draw(st.integers(0, len(self.users) - 1)))
        using.__exit__()
        self.left(name)

    @rule(name=names)
    def unload(self, name: str) -> None:
        self.cache.unload(name)
        if name in self.loaded and self.used(name):
            self.leaving.add(name)
        elif name in self.loaded:
            self.loaded.remove(name)

    @rule(name=names)
    def break_store(self, name: str) -> None:
        self.loader.failing[name] = StoreUnavailable("The store is away.", retry_after=5)

    @rule(name=names)
    def mend_store(self, name: str) -> None:
        self.loader.failing.pop(name, None)

    @rule(seconds=st.floats(0.1, 3))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def agree(self) -> None:
        assert self.cache.loaded() == sorted(self.loaded)
        assert self.loader.loads == self.loads
        assert self.cache.memory_used == (RUNTIME + self.taken(but=[]) if self.loaded else 0)
        assert self.cache.memory_used <= LIMIT
        assert all(self.cache.has(name) for name, _ in self.users)


@pytest.fixture(autouse=True)
def nothing_to_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "reclaim", lambda: None)


TestCache = CacheBesideItsModel.TestCase
TestCache.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
