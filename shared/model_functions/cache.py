"""The models that this instance has: loaded once, when first asked for; gone when another needs the memory."""

import contextvars
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from model_functions import memory
from model_functions.admission import Admission
from model_functions.artifact.manifest import Manifest
from model_functions.backoff import Backoff
from model_functions.budget import MemoryBudget
from model_functions.caller import Caller
from model_functions.errors import ArtifactRefused, InsufficientMemory, ModelNotFound, ModelUnavailable, ServingError
from model_functions.loaded import Entry, Freshness, LoadedModel
from model_functions.phases import Phases
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)


class Loader(Protocol):
    """Brings a model into memory."""

    def aimed(self, name: str) -> str:
        """The digest of the manifest that is to be served now."""

    def resolve(self, name: str, phases: Phases) -> Manifest:
        """What is to be loaded, found out without loading any of it."""

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        """The model itself."""

    def load_tested(self, manifest: Manifest) -> ModelWrapper:
        """The same, for the place of another: it has answered its sample."""


class ModelCache:
    """The models of one family, by name, within a budget of memory.

    Args:
        clock: seconds that never go back.
        loaded: told the name of each model that a request has loaded.
        refresh_s: after so many seconds a use makes the model's name ``due``.
    """

    def __init__(
        self,
        loader: Loader,
        budget: MemoryBudget[Entry],
        clock: Callable[[], float] = time.monotonic,
        loaded: Callable[[str], None] = lambda name: None,
        refresh_s: float = math.inf,
    ) -> None:
        self._loader = loader
        self.admission = Admission(budget, clock)
        self._lock, self._entries = self.admission.lock, self.admission.entries
        self.clock = clock
        self._told = loaded
        self._refresh_s = refresh_s
        self.due: SimpleQueue[str] = SimpleQueue()
        """Names of models whose alias is to be looked at; each once, until ``look_after``."""
        self._backoff = Backoff(clock)
        self.uses = self.misses = 0
        self.failures: dict[str, int] = {}
        """Loads that failed, by the error's code."""
        self._unloaded: set[str] = set()
        self._served: dict[str, Manifest] = {}  # by name: the revision that was ready last
        self._refused: set[str] = set()  # digests of manifests

    def use(self, name: str, phases: Phases, caller: Caller | None = None) -> "_Use":
        """For ``with``: the model, loaded now if it is not here, and not evicted before the block ends.

        Args:
            caller: whoever waits for it, which may end before the load does: that goes on for the next one.

        Raises ModelNotFound, ModelUnavailable, ArtifactRefused, InsufficientMemory, ModelTooLarge, and what makes a
        caller go.
        """
        return _Use(self, name, phases, caller)

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
                self.admission.leave(entry)

    def unloaded(self) -> frozenset[str]:
        """The models that somebody unloaded, and that have not been loaded again."""
        return frozenset(self._unloaded)

    @property
    def evictions(self) -> int:
        return self.admission.evictions

    @property
    def stale(self) -> int:
        return sum(model.freshness.is_stale for model in self.models())

    @property
    def memory_budget(self) -> int:
        return self.admission.budget.size

    @property
    def memory_used(self) -> int:
        with self._lock:
            return self.admission.budget.total()

    def enter(self, name: str) -> tuple[Entry, bool]:
        """The name's entry with one user more, and whether this user must load it."""
        with self._lock:
            entry = self._entries.get(name)
            first = entry is None
            self.uses += 1
            self.misses += first
            if entry is None:
                self._backoff.check(name)
                entry = self._entries[name] = Entry(name, self.clock())
            elif entry.loaded:
                now = entry.since = self.clock()
                if now >= entry.look_at:
                    entry.look_at = math.inf
                    self.due.put(name)
            entry.users += 1
            return entry, first

    def hold(self, entry: Entry) -> None:
        """One user more, of whom there is one already."""
        with self._lock:
            entry.users += 1

    def leave(self, entry: Entry, began: float | None) -> None:
        with self._lock:
            entry.users -= 1
            if began is not None:
                self.admission.uses.add(self.clock() - began)
            if entry.leaving:
                self.admission.leave(entry)
            elif len(self._entries) > 1 and self._entries.get(entry.name) is entry:
                self._entries[entry.name] = self._entries.pop(entry.name)

    def fly(self, name: str, entry: Entry, phases: Phases) -> None:
        """Loads the model, and tells it or the failure to all who wait."""
        try:
            manifest, freshness = self._resolved(name, phases)
            with self._lock:
                self.admission.admit(entry, manifest.here.memory)
            wrapper = self._loader.load(manifest, phases)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            # Not the exception itself: its traceback holds what has been downloaded.
            error = failure_of(name, exc)
        else:
            with self._lock:
                self.settle(entry, LoadedModel(wrapper, manifest, freshness=freshness))
            self._told(name)
            return
        self.fail(entry, error)

    def serving(self, name: str) -> LoadedModel | None:
        entry = self._entries.get(name)
        return None if entry is None else entry.ready

    def look_after(self, name: str, seconds: float) -> None:
        """The name is due again then, at the earliest."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and entry.loaded:
                entry.look_at = self.clock() + seconds

    def settle(self, entry: Entry, model: LoadedModel) -> None:
        """The model has come, which those hear who wait for it. Whoever says so holds the lock."""
        name, manifest, now = entry.name, model.manifest, self.clock()
        self.admission.loads.add(now - entry.since)
        entry.since, entry.look_at = now, now + self._refresh_s
        self.admission.budget.admit(entry, manifest.here.memory)
        self.admission.budget.settle(entry)
        self._backoff.forget(name)
        self._unloaded.discard(name)
        self._served[name] = manifest
        self._refused.discard(manifest.digest)
        entry.ready = model
        entry.outcome.set_result(model)

    def fail(self, entry: Entry, error: ServingError) -> None:
        """The model does not come, which those hear who wait for it."""
        name = entry.name
        with self._lock:
            self.failures[error.code] = self.failures.get(error.code, 0) + 1
            if entry in self.admission.budget:
                memory.reclaim()
                self.admission.budget.release(entry)
            del self._entries[name]
            # The directory limits the looks for a name, and memory may be free at any moment.
            if not isinstance(error, ModelNotFound | InsufficientMemory):
                error = self._backoff.remember(name, error)
            entry.outcome.set_result(error)

    def refuse(self, manifest: Manifest) -> None:
        """The revision is not loaded any more where another has served."""
        self._refused.add(manifest.digest)

    def _resolved(self, name: str, phases: Phases) -> tuple[Manifest, Freshness]:
        """What is to be loaded: the revision that served last, where the one that the alias names is refused."""
        before = self._served.get(name)
        try:
            manifest = self._loader.resolve(name, phases)
        except ArtifactRefused:
            if before is None:
                raise
            return before, Freshness(is_stale=True)
        if before is None or manifest.digest not in self._refused:
            return manifest, Freshness()
        return before, Freshness(is_stale=True)


class _Use:
    """What ``with cache.use(…)`` enters; a generator would take twice as long."""

    __slots__ = ("_began", "_cache", "_caller", "_entry", "_name", "_phases")

    _entry: Entry

    def __init__(self, cache: ModelCache, name: str, phases: Phases, caller: Caller | None) -> None:
        self._cache = cache
        self._name = name
        self._phases = phases
        self._caller = caller
        self._began: float | None = None

    def __enter__(self) -> LoadedModel:
        self._entry, first = self._cache.enter(self._name)
        try:
            model = self._entry.ready or self._awaited(first)
        except BaseException:
            self.__exit__()
            raise
        self._began = self._cache.clock()
        return model

    def __exit__(self, *raised: object) -> None:
        self._cache.leave(self._entry, self._began)

    def _awaited(self, first: bool) -> LoadedModel:
        caller = self._caller or Caller()
        if not first:
            with nullcontext() if self._entry.outcome.done() else self._phases("wait"):
                return self._entry.model(caller)
        # In a thread of its own, and with phases of its own: it goes on when this caller is gone.
        phases = self._phases.of_another_thread()
        load = partial(contextvars.copy_context().run, self._cache.fly, self._name, self._entry, phases)
        threading.Thread(target=load, name="load", daemon=True).start()
        try:
            return self._entry.model(caller)
        finally:
            if self._entry.outcome.done():
                self._phases.add(phases)

    def again(self) -> "_Again":
        """For ``with`` inside this one, and longer: the same model, whatever has taken its place meanwhile."""
        return _Again(self._cache, self._entry)


class _Again:
    __slots__ = ("_cache", "_entry")

    def __init__(self, cache: ModelCache, entry: Entry) -> None:
        self._cache = cache
        self._entry = entry

    def __enter__(self) -> None:
        self._cache.hold(self._entry)

    def __exit__(self, *raised: object) -> None:
        self._cache.leave(self._entry, None)


def failure_of(name: str, exc: BaseException, level: int = logging.ERROR) -> ServingError:
    """What those hear who wait for the model; the log has what they need not know."""
    if not isinstance(exc, ServingError) or (isinstance(exc, ArtifactRefused) and exc.__cause__ is not None):
        log.log(level, "cannot load %s", name, exc_info=exc, extra={"fields": {"model": name}})
    if isinstance(exc, ServingError):
        return exc.again()
    # A model may raise anything while it is loaded, SystemExit included; the instance goes on.
    return ModelUnavailable(f"{name} cannot be loaded now ({type(exc).__name__}). The function's log has the reason.")
