"""A store whose aliases a test moves, and an instance that follows them."""

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from model_functions.artifact.manifest import Manifest, MemoryNeed
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import ModelNotFound, ServingError
from model_functions.loaded import LoadedModel
from model_functions.phases import Phases
from model_functions.updates import Updates
from model_functions.wrapper import ModelWrapper
from tests.shared.caches import MIB, manifest
from tests.shared.clocks import Clock

REFRESH_S = 30.0
#: Two revisions fit beside each other.
NEED = MemoryNeed(runtime=100 * MIB, load=30 * MIB, model=20 * MIB)
BOTH = 100 * MIB + 20 * MIB + 30 * MIB


class Model:
    """What stands for a wrapper."""

    def __init__(self, revision: str) -> None:
        self.revision = revision


class FakeStore:
    """Aliases and revisions that a test moves; a loader over it.

    Args:
        aliases: by name: the text that stands for a revision.
        failing: by such a text: what its load raises.
        during: by such a text: called while it is loaded.
        away: what every look raises.
    """

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {"a": "one"}
        self.failing: dict[str, BaseException] = {}
        self.during: dict[str, Callable[[], object]] = {}
        self.needs: dict[str, MemoryNeed] = {}
        self.away: ServingError | None = None
        self.looks = 0
        self.loads: list[str] = []
        self.made: list[weakref.ref[Model]] = []

    def manifest(self, name: str) -> Manifest:
        text = self.aliases[name]
        return replace(manifest(name, self.needs.get(text, NEED)), description=text)

    def aimed(self, name: str) -> str:
        self.looks += 1
        if self.away is not None:
            raise self.away.again()
        if name not in self.aliases:
            raise ModelNotFound("No such model.")
        return self.manifest(name).digest

    def resolve(self, name: str, phases: Phases) -> Manifest:
        self.aimed(name)
        self.looks -= 1
        return self.manifest(name)

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        text = manifest.description
        self.loads.append(text)
        self.during.get(text, lambda: None)()
        if text in self.failing:
            raise self.failing[text]
        model = Model(text)
        self.made.append(weakref.ref(model))
        return cast(ModelWrapper, model)

    def load_tested(self, manifest: Manifest) -> ModelWrapper:
        return self.load(manifest, Phases())

    def alive(self) -> list[str]:
        return [model.revision for model in (made() for made in self.made) if model is not None]


class Instance:
    """A cache with its updates, whose looks a test makes in its own thread."""

    def __init__(self, store: FakeStore, clock: Clock, limit: int = BOTH) -> None:
        self.cache = ModelCache(store, MemoryBudget[Any](limit, 0), clock, refresh_s=REFRESH_S)
        self.updates = Updates(self.cache, store, REFRESH_S, clock)
        self.clock = clock

    def asked(self, name: str = "a") -> tuple[str, bool]:
        """Which revision answers, and whether it says that it is stale."""
        with self.cache.use(name, Phases()) as model:
            return told(model)

    def look(self) -> int:
        """Looks at what is due; returns how many were."""
        count = 0
        while not self.cache.due.empty():
            self.updates.look(self.cache.due.get())
            count += 1
        return count

    def after(self, seconds: float, name: str = "a") -> tuple[str, bool]:
        """Which revision answers then, once a request has had the store looked at."""
        self.clock.now += seconds
        self.asked(name)
        self.look()
        return self.asked(name)


def told(model: LoadedModel) -> tuple[str, bool]:
    return cast(Any, model.wrapper).revision, model.freshness.is_stale


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def freed(store: FakeStore, *expected: str) -> None:
    """Waits until only these are in memory."""
    for _ in range(100):
        if store.alive() == list(expected):
            return
        threading.Event().wait(0.02)
    assert store.alive() == list(expected)


def released(instance: Instance) -> int:
    """The memory that is accounted for, a moment later."""
    for _ in range(100):
        if instance.cache.memory_used <= NEED.runtime + NEED.model:
            break
        threading.Event().wait(0.02)
    return instance.cache.memory_used
