"""What stands for models and for their loader, and ways to use a cache of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from model_functions.artifact.manifest import EngineRecord, Manifest, MemoryNeed, WeightsLayout
from model_functions.cache import ModelCache
from model_functions.errors import ModelNotFound, ServingError
from model_functions.phases import Phases
from model_functions.wrapper import ModelWrapper

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
