"""What the tests of the cache, and of what stands around it, begin with."""

import gc

import pytest

from model_functions import succession
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from tests.shared.caches import LIMIT, FakeLoader
from tests.shared.clocks import Clock
from tests.shared.revisions import FakeStore, Instance


@pytest.fixture
def few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection looks at what the test has made, and not through all that the process has loaded before it."""
    gc.freeze()
    monkeypatch.setattr(gc, "unfreeze", lambda: None)


@pytest.fixture
def short_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for long."""
    monkeypatch.setattr(succession, "DRAIN_S", 0.2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def cache(loader: FakeLoader, clock: Clock) -> ModelCache:
    return ModelCache(loader, MemoryBudget(LIMIT, 0), clock)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def instance(store: FakeStore, clock: Clock) -> Instance:
    instance = Instance(store, clock)
    assert instance.asked() == ("one", False)
    return instance
