"""The models that this instance has: loaded once, when first asked for; gone when another needs the memory."""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from model_functions import memory
from model_functions.artifact.manifest import Manifest, MemoryNeed
from model_functions.backoff import Backoff
from model_functions.budget import MemoryBudget
from model_functions.errors import (
    InsufficientMemory,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    ServingError,
)
from model_functions.pace import Pace
from model_functions.phases import Phases
from model_functions.tally import Tally
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)


class Loader(Protocol):
    """Brings a model into memory."""

    def resolve(self, name: str, phases: Phases) -> Manifest:
        """What is to be loaded, found out without loading any of it."""

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        """The model itself."""


@dataclass(frozen=True)
class LoadedModel:
    """A wrapper that is ready to predict.

    Args:
        pace: how long it takes lately.
        tally: of its answers.
    """

    wrapper: ModelWrapper
    manifest: Manifest
    pace: Pace = field(default_factory=Pace)
    tally: Tally = field(default_factory=Tally)


@dataclass(eq=False)
class _Entry:
    """One name of the cache, from its first request to its eviction.

    Args:
        since: when its load or its latest use began.
        outcome: the model, or what made its load fail, for those who wait for it.
        ready: the model, once it is loaded.
        users: who wait for the model or use it; it stays while there are any.
        leaving: whether it goes with the last of them.
    """

    since: float
    outcome: Future[LoadedModel | ServingError] = field(default_factory=Future)
    ready: LoadedModel | None = None
    users: int = 0
    leaving: bool = False

    @property
    def loaded(self) -> bool:
        return self.ready is not None

    def model(self, phases: Phases) -> LoadedModel:
        """Waits for the model. Raises what made its load fail."""
        if self.ready is not None:
            return self.ready
        with nullcontext() if self.outcome.done() else phases("wait"):
            outcome = self.outcome.result()
        if isinstance(outcome, ServingError):
            raise outcome.again()
        return outcome


class _Average:
    """Seconds that something takes lately."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        weight = 0.2 if self.seconds else 1.0
        self.seconds += weight * (seconds - self.seconds)


class ModelCache:
    """The models of one family, by name, within a budget of memory.

    Args:
        clock: seconds that never go back.
        loaded: told the name of each model that has been loaded.
    """

    def __init__(
        self,
        loader: Loader,
        budget: MemoryBudget,
        clock: Callable[[], float] = time.monotonic,
        loaded: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._loader = loader
        self._budget = budget
        self.clock = clock
        self._told = loaded
        self._backoff = Backoff(clock)
        self._entries: dict[str, _Entry] = {}  # the least recently used first
        self._loads, self._uses = _Average(), _Average()
        self._evictions = 0
        self.uses = self.misses = 0
        self.failures: dict[str, int] = {}
        """Loads that failed, by the error's code."""
        self._unloaded: set[str] = set()
        self._lock = threading.Lock()

    def use(self, name: str, phases: Phases) -> "_Use":
        """For ``with``: the model, loaded now if it is not here, and not evicted before the block ends.

        Raises ModelNotFound, ModelUnavailable, ArtifactRefused, InsufficientMemory, ModelTooLarge.
        """
        return _Use(self, name, phases)

    def has(self, name: str) -> bool:
        """Whether the model is loaded, so that to use it is to wait for nothing."""
        entry = self._entries.get(name)
        return entry is not None and entry.loaded

    def loaded(self) -> list[str]:
        with self._lock:
            return sorted(name for name, entry in self._entries.items() if entry.loaded)

    def models(self) -> list[LoadedModel]:
        with self._lock:
            return [entry.ready for _, entry in sorted(self._entries.items()) if entry.ready is not None]

    def unload(self, name: str) -> None:
        """The model leaves, once nobody uses it any more. The next request for it loads it again."""
        with self._lock:
            entry = self._entries.get(name)
            self._unloaded.add(name)
            if entry is not None and entry.loaded:
                entry.leaving = True
                self._leave(name, entry)

    def unloaded(self) -> frozenset[str]:
        """The models that somebody unloaded, and that have not been loaded again."""
        return frozenset(self._unloaded)

    @property
    def evictions(self) -> int:
        return self._evictions

    @property
    def memory_budget(self) -> int:
        return self._budget.size

    @property
    def memory_used(self) -> int:
        with self._lock:
            return self._budget.total()

    def enter(self, name: str) -> tuple[_Entry, bool]:
        """The name's entry with one user more, and whether this user must load it."""
        with self._lock:
            entry = self._entries.get(name)
            first = entry is None
            self.uses += 1
            self.misses += first
            if entry is None:
                self._backoff.check(name)
                entry = self._entries[name] = _Entry(self.clock())
            elif entry.loaded:
                entry.since = self.clock()
            entry.users += 1
            return entry, first

    def leave(self, name: str, entry: _Entry, began: float | None) -> None:
        with self._lock:
            entry.users -= 1
            if began is not None:
                self._uses.add(self.clock() - began)
            if entry.leaving:
                self._leave(name, entry)
            elif len(self._entries) > 1 and self._entries.get(name) is entry:
                self._entries[name] = self._entries.pop(name)

    def fly(self, name: str, entry: _Entry, phases: Phases) -> None:
        """Loads the model, and tells it or the failure to all who wait."""
        try:
            manifest = self._loader.resolve(name, phases)
            self._admit(name, entry, manifest.here.memory)
            wrapper = self._loader.load(manifest, phases)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            # Not the exception itself: its traceback holds what has been downloaded.
            error = _failure(name, exc)
        else:
            self._settle(name, entry, LoadedModel(wrapper, manifest))
            return
        self._fail(name, entry, error)

    def _settle(self, name: str, entry: _Entry, model: LoadedModel) -> None:
        with self._lock:
            now = self.clock()
            self._loads.add(now - entry.since)
            entry.since = now
            self._budget.settle(name)
            self._backoff.forget(name)
            entry.ready = model
            self._unloaded.discard(name)
            entry.outcome.set_result(model)
        self._told(name)

    def _fail(self, name: str, entry: _Entry, error: ServingError) -> None:
        with self._lock:
            self.failures[error.code] = self.failures.get(error.code, 0) + 1
            if name in self._budget:
                memory.reclaim()
                self._budget.release(name)
            del self._entries[name]
            # The directory limits the looks for a name, and memory may be free at any moment.
            if not isinstance(error, ModelNotFound | InsufficientMemory):
                error = self._backoff.remember(name, error)
            entry.outcome.set_result(error)

    def _admit(self, name: str, entry: _Entry, need: MemoryNeed) -> None:
        """Makes room for the model and takes it. Raises InsufficientMemory, ModelTooLarge."""
        with self._lock:
            if self._budget.alone(need) > self._budget.size:
                raise self._too_large(name, need)
            leaving = self._leaving(need)
            if not self._budget.fits(need, without=leaving):
                raise self._no_room(name, need)
            self._evict(leaving, name)
            self._budget.admit(name, need)
            entry.since = self.clock()

    def _idle(self) -> list[str]:
        """Models that nobody uses, the least recently used first."""
        return [name for name, entry in self._entries.items() if entry.loaded and not entry.users]

    def _leaving(self, need: MemoryNeed) -> list[str]:
        """As many idle models as must go; all of them if even that is not enough."""
        leaving: list[str] = []
        for name in self._idle():
            if self._budget.fits(need, without=leaving):
                break
            leaving.append(name)
        return leaving

    def _leave(self, name: str, entry: _Entry) -> None:
        if entry.users or self._entries.get(name) is not entry:
            return
        del self._entries[name]
        self._budget.release(name)
        # Whoever used it last may hold it for a moment.
        entry.ready, entry.outcome = None, Future()
        memory.reclaim()
        log.info("unloaded %s", name, extra={"fields": {"model": name}})

    def _evict(self, names: list[str], arriving: str) -> None:
        for name in names:
            del self._entries[name]
            self._budget.release(name)
            self._evictions += 1
            log.info("evicted %s", name, extra={"fields": {"model": name, "for": arriving}})
        if names:
            # Under the lock, so that nobody is admitted to memory that is not free yet.
            memory.reclaim()

    def _too_large(self, name: str, need: MemoryNeed) -> ModelTooLarge:
        needed = self._budget.alone(need)
        log.warning("no memory for %s, ever", name, extra={"fields": {"model": name, "needed": needed}})
        size = memory.deployable(needed)
        return ModelTooLarge(
            f"{name} needs {memory.spelled(needed + self._budget.reserve)}, requests included, and this function has "
            f"{memory.spelled(self._budget.limit)}. "
            + (f"Deploy it with --memory={size}." if size else "No function has more than 32Gi: publish a smaller one.")
        )

    def _no_room(self, name: str, need: MemoryNeed) -> InsufficientMemory:
        """The refusal, with the seconds after which the model is expected to fit.

        A model in the way is expected to be free when its latest use has taken what uses take lately; one that is
        being loaded, after a load and a use. Those that are free first make room first. The last one whose room
        is needed tells the seconds: one at least, for those that take longer than usual.
        """
        idle = self._idle()
        free_after = {
            other: self._expected(entry)
            for other, entry in self._entries.items()
            if other in self._budget and other not in idle
        }
        in_the_way: list[str] = []
        for other in sorted(free_after, key=free_after.__getitem__):
            if self._budget.fits(need, without=[*idle, *in_the_way]):
                break
            in_the_way.append(other)
        seconds = max(1, math.ceil(free_after[in_the_way[-1]]))
        fields = {"model": name, "in_the_way": in_the_way, "retry_after": seconds}
        log.warning("no memory for %s now", name, extra={"fields": fields})
        in_use, needed = self._budget.total(without=idle), self._budget.total(need, without=idle)
        size = memory.deployable(needed)
        return InsufficientMemory(
            f"{name} needs {memory.spelled(needed - in_use)}, and {memory.spelled(self._budget.size - in_use)} can be "
            f"had while {' and '.join(sorted(in_the_way))} {'is' if len(in_the_way) == 1 else 'are'} in use. "
            f"Ask again in {seconds} s" + (f", or deploy the function with --memory={size}." if size else "."),
            retry_after=seconds,
        )

    def _expected(self, entry: _Entry) -> float:
        """Seconds until nobody is expected to use the entry."""
        seconds = self._uses.seconds if entry.loaded else self._loads.seconds + self._uses.seconds
        return seconds - (self.clock() - entry.since)


class _Use:
    """What ``with cache.use(…)`` enters; a generator would take twice as long."""

    __slots__ = ("_began", "_cache", "_entry", "_name", "_phases")

    def __init__(self, cache: ModelCache, name: str, phases: Phases) -> None:
        self._cache = cache
        self._name = name
        self._phases = phases
        self._began: float | None = None

    def __enter__(self) -> LoadedModel:
        self._entry, first = self._cache.enter(self._name)
        try:
            if first:
                self._cache.fly(self._name, self._entry, self._phases)
            model = self._entry.model(self._phases)
        except BaseException:
            self.__exit__()
            raise
        self._began = self._cache.clock()
        return model

    def __exit__(self, *raised: object) -> None:
        self._cache.leave(self._name, self._entry, self._began)


def _failure(name: str, exc: BaseException) -> ServingError:
    if isinstance(exc, ServingError):
        return exc.again()
    # A model may raise anything while it is loaded, SystemExit included; the instance goes on.
    log.error("cannot load %s", name, exc_info=exc, extra={"fields": {"model": name}})
    return ModelUnavailable(f"{name} cannot be loaded now ({type(exc).__name__}). The function's log has the reason.")
