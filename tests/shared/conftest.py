"""What the tests of the cache, and of what stands around it, begin with."""

import gc
from collections.abc import Iterator

import pytest

from model_functions import succession
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from tests.shared.caches import LIMIT, FakeLoader
from tests.shared.clocks import Clock
from tests.shared.revisions import FakeStore, Instance


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> Iterator[None]:
    """A collection looks at what the tests have made, and not through all that the process has loaded before them."""
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "unfreeze", lambda: None)
        yield


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
