"""The models that this instance has: loaded once, when first asked for; gone when another needs the memory.

A revision takes another's place while that one serves: beside it, or where there is no room for both, after it.
"""

import contextvars
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Protocol, cast

from model_functions import memory
from model_functions.artifact.manifest import Manifest, MemoryNeed
from model_functions.backoff import Backoff
from model_functions.budget import MemoryBudget, either
from model_functions.caller import Caller
from model_functions.errors import (
    ArtifactRefused,
    InsufficientMemory,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    SelfTestHangs,
    ServingError,
    StoreUnavailable,
)
from model_functions.pace import Pace
from model_functions.phases import Phases
from model_functions.tally import Tally
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)

#: Seconds that a revision's last requests may take where another can only come after it.
DRAIN_S = 30.0
#: Seconds to wait, one after the other, for those who held a model last, and from one look at it to the next.
_HELD_S = (0.2, 1.0, 3.0)
_LOOK_S = 0.01
#: Seconds after which a store is asked again for what has to come back.
_AWAY_S = 0.25


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


@dataclass
class Freshness:
    """What is known of a revision's place in the store.

    Args:
        is_stale: whether the alias names another by now, or could not be asked.
    """

    is_stale: bool = False


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
    freshness: Freshness = field(default_factory=Freshness)


@dataclass(eq=False)
class _Entry:
    """One revision in the cache, from its first request to its eviction.

    Args:
        since: when its load or its latest use began.
        outcome: the model, or what made its load fail, for those who wait for it.
        ready: the model, once it is loaded.
        users: who wait for the model or use it; it stays while there are any.
        leaving: whether it goes with the last of them.
        look_at: when the next use has the store looked at for another revision.
        replaced: whether another has taken its place, which is told when it has ``left``.
    """

    name: str
    since: float
    outcome: Future[LoadedModel | ServingError] = field(default_factory=Future)
    ready: LoadedModel | None = None
    users: int = 0
    leaving: bool = False
    look_at: float = math.inf
    replaced: bool = False
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def loaded(self) -> bool:
        return self.ready is not None

    def forget(self) -> None:
        self.ready, self.outcome = None, Future()

    def model(self, caller: Caller) -> LoadedModel:
        """Waits for the model. Raises what made its load fail, or the caller go."""
        if self.ready is not None:
            return self.ready
        waiting, settled = self.outcome, threading.Event()
        waiting.add_done_callback(lambda _: settled.set())
        while not waiting.done():
            caller.wait(settled)
            if not waiting.done():
                caller.check()
        outcome = waiting.result()
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
        loaded: told the name of each model that a request has loaded.
        refresh_s: after so many seconds a use makes the model's name ``due``.
    """

    def __init__(
        self,
        loader: Loader,
        budget: MemoryBudget[_Entry],
        clock: Callable[[], float] = time.monotonic,
        loaded: Callable[[str], None] = lambda name: None,
        refresh_s: float = math.inf,
    ) -> None:
        self._loader = loader
        self._budget = budget
        self.clock = clock
        self._told = loaded
        self._refresh_s = refresh_s
        self.due: SimpleQueue[str] = SimpleQueue()
        """Names of models whose alias is to be looked at; each once, until ``look_after``."""
        self._backoff = Backoff(clock)
        self._entries: dict[str, _Entry] = {}  # the least recently used first
        self._loads, self._uses = _Average(), _Average()
        self._evictions = 0
        self.uses = self.misses = 0
        self.failures: dict[str, int] = {}
        """Loads that failed, by the error's code."""
        self._unloaded: set[str] = set()
        self._served: dict[str, Manifest] = {}  # by name: the revision that was ready last
        self._refused: set[str] = set()  # digests of manifests
        self._lock = threading.Lock()

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
                self._leave(entry)

    def unloaded(self) -> frozenset[str]:
        """The models that somebody unloaded, and that have not been loaded again."""
        return frozenset(self._unloaded)

    @property
    def evictions(self) -> int:
        return self._evictions

    @property
    def stale(self) -> int:
        return sum(model.freshness.is_stale for model in self.models())

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
                entry = self._entries[name] = _Entry(name, self.clock())
            elif entry.loaded:
                now = entry.since = self.clock()
                if now >= entry.look_at:
                    entry.look_at = math.inf
                    self.due.put(name)
            entry.users += 1
            return entry, first

    def hold(self, entry: _Entry) -> None:
        """One user more, of whom there is one already."""
        with self._lock:
            entry.users += 1

    def leave(self, entry: _Entry, began: float | None) -> None:
        with self._lock:
            entry.users -= 1
            if began is not None:
                self._uses.add(self.clock() - began)
            if entry.leaving:
                self._leave(entry)
            elif len(self._entries) > 1 and self._entries.get(entry.name) is entry:
                self._entries[entry.name] = self._entries.pop(entry.name)

    def fly(self, name: str, entry: _Entry, phases: Phases) -> None:
        """Loads the model, and tells it or the failure to all who wait."""
        try:
            manifest, freshness = self._resolved(name, phases)
            self._admit(entry, manifest.here.memory)
            wrapper = self._loader.load(manifest, phases)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            # Not the exception itself: its traceback holds what has been downloaded.
            error = _failure(name, exc)
        else:
            with self._lock:
                self._settle(entry, LoadedModel(wrapper, manifest, freshness=freshness))
            self._told(name)
            return
        self._fail(entry, error)

    # Another revision.

    def serving(self, name: str) -> LoadedModel | None:
        entry = self._entries.get(name)
        return None if entry is None else entry.ready

    def look_after(self, name: str, seconds: float) -> None:
        """The name is due again then, at the earliest."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and entry.loaded:
                entry.look_at = self.clock() + seconds

    def revise(self, name: str, manifest: Manifest) -> bool:
        """Puts another revision into the place of the one that serves, which its last request lets go of.

        Where there is no room for both, requests wait until the one has left and the other has come, and where that
        one fails, until the first is back.

        Returns whether it serves now; a model that has left meanwhile stays away.
        Raises ArtifactRefused, ModelTooLarge, StoreUnavailable, InsufficientMemory: then the first serves on.
        """
        with self._lock:
            old = self._entries.get(name)
            if old is None or old.ready is None or old.leaving:
                return False
            arriving, first = _Entry(name, self.clock()), old.ready.manifest
            beside = self._admit_revision(old, arriving, first, manifest)
        if beside:
            return self._come_beside(old, arriving, manifest)
        self._come_after(old, arriving, first, manifest)
        return True

    def _admit_revision(self, old: _Entry, arriving: _Entry, first: Manifest, manifest: Manifest) -> bool:
        """Makes room for the revision, and says whether it is beside the old one; if not, that one has left already."""
        need, others = manifest.here.memory, [entry for entry in self._idle() if entry is not old]
        leaving = self._leaving(need, others)
        if self._budget.fits(need, without=leaving):
            self._evict(leaving, arriving.name)
            self._budget.admit(arriving, need)
            return True
        # For whichever comes back: what the old one needs is not given away meanwhile.
        both = either(need, first.here.memory)
        if self._budget.alone(both) > self._budget.size:
            self._refused.add(manifest.digest)
            raise self._too_large(arriving.name, both)
        leaving = self._leaving(both, others, [old])
        if not self._budget.fits(both, without=[old, *leaving]):
            raise self._no_room(arriving.name, both)
        self._evict(leaving, arriving.name)
        self._budget.release(old)
        self._budget.admit(arriving, both)
        self._replace(old, arriving)
        return False

    def _come_beside(self, old: _Entry, arriving: _Entry, manifest: Manifest) -> bool:
        failure: ServingError | None = None
        try:
            wrapper = self._loader.load_tested(manifest)
        except BaseException as exc:  # noqa: BLE001 - told to who asked
            failure = self._refusal(manifest, exc)
        else:
            with self._lock:
                # Else it was evicted, or unloaded: the next request finds the revision by itself.
                is_here = self._entries.get(old.name) is old and not old.leaving
                if is_here:
                    self._replace(old, arriving)
                    self._settle(arriving, LoadedModel(wrapper, manifest))
            if is_here:
                threading.Thread(target=self._free, args=[old], name="free", daemon=True).start()
                return True
            del wrapper
        memory.reclaim()
        if failure is None or not _is_held(failure):
            with self._lock:
                self._budget.release(arriving)
        if failure is not None:
            raise failure
        return False

    def _come_after(self, old: _Entry, arriving: _Entry, first: Manifest, manifest: Manifest) -> None:
        if not old.left.wait(DRAIN_S):
            with self._lock:
                self._settle(arriving, cast(LoadedModel, old.ready))
                old.forget()
            raise InsufficientMemory(
                f"{old.name} has requests that take more than {DRAIN_S:g} s, and there is no room for two revisions."
            )
        self._let_go(old)
        try:
            wrapper = self._loader.load_tested(manifest)
        except BaseException as exc:  # noqa: BLE001 - told to who asked
            failure = self._refusal(manifest, exc)
        else:
            with self._lock:
                self._settle(arriving, LoadedModel(wrapper, manifest))
            return
        memory.reclaim()
        if _is_held(failure):
            with self._lock:
                self._budget.admit(_Entry(old.name, self.clock()), manifest.here.memory)
        try:
            wrapper = self._loaded_again(first)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            error = _failure(old.name, exc)
        else:
            with self._lock:
                self._settle(arriving, LoadedModel(wrapper, first, freshness=Freshness(is_stale=True)))
            raise failure
        self._fail(arriving, error)
        raise failure

    def _loaded_again(self, first: Manifest) -> ModelWrapper:
        """The revision that has left for nothing, also from a store that is away for a moment."""
        until = time.monotonic() + DRAIN_S
        while True:
            try:
                return self._loader.load(first, Phases())
            except StoreUnavailable:
                if time.monotonic() > until:
                    raise
            time.sleep(_AWAY_S)

    def _refusal(self, manifest: Manifest, exc: BaseException) -> ServingError:
        """Why the revision does not take another's place; without the traceback, which holds what was loaded."""
        if isinstance(exc, StoreUnavailable):
            return exc.again()
        self._refused.add(manifest.digest)
        return _failure(manifest.name, exc, logging.WARNING)

    def _replace(self, old: _Entry, arriving: _Entry) -> None:
        """From now on the name means the other entry."""
        self._entries[old.name] = arriving
        old.leaving = old.replaced = True
        self._leave(old)

    def _free(self, entry: _Entry) -> None:
        entry.left.wait()
        self._let_go(entry)
        with self._lock:
            self._budget.release(entry)

    def _let_go(self, entry: _Entry) -> None:
        """Gives the memory of a model back that nobody uses any more."""
        wrapper = weakref.ref(cast(LoadedModel, entry.ready).wrapper)
        entry.forget()
        for seconds in _HELD_S:
            # Whoever used it last may hold it for a moment. A collection stops everybody: one should do.
            while wrapper() is not None and seconds > 0:
                time.sleep(_LOOK_S)
                seconds -= _LOOK_S
            memory.reclaim()
            if wrapper() is None:
                return
        log.warning("%s is still held by somebody", entry.name, extra={"fields": {"model": entry.name}})

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

    # Coming and going.

    def _settle(self, entry: _Entry, model: LoadedModel) -> None:
        name, manifest, now = entry.name, model.manifest, self.clock()
        self._loads.add(now - entry.since)
        entry.since, entry.look_at = now, now + self._refresh_s
        self._budget.admit(entry, manifest.here.memory)
        self._budget.settle(entry)
        self._backoff.forget(name)
        self._unloaded.discard(name)
        self._served[name] = manifest
        self._refused.discard(manifest.digest)
        entry.ready = model
        entry.outcome.set_result(model)

    def _fail(self, entry: _Entry, error: ServingError) -> None:
        name = entry.name
        with self._lock:
            self.failures[error.code] = self.failures.get(error.code, 0) + 1
            if entry in self._budget:
                memory.reclaim()
                self._budget.release(entry)
            del self._entries[name]
            # The directory limits the looks for a name, and memory may be free at any moment.
            if not isinstance(error, ModelNotFound | InsufficientMemory):
                error = self._backoff.remember(name, error)
            entry.outcome.set_result(error)

    def _admit(self, entry: _Entry, need: MemoryNeed) -> None:
        """Makes room for the model and takes it. Raises InsufficientMemory, ModelTooLarge."""
        name = entry.name
        with self._lock:
            if self._budget.alone(need) > self._budget.size:
                raise self._too_large(name, need)
            leaving = self._leaving(need, self._idle())
            if not self._budget.fits(need, without=leaving):
                raise self._no_room(name, need)
            self._evict(leaving, name)
            self._budget.admit(entry, need)
            entry.since = self.clock()

    def _idle(self) -> list[_Entry]:
        """Models that nobody uses, the least recently used first."""
        return [entry for entry in self._entries.values() if entry.loaded and not entry.users]

    def _leaving(self, need: MemoryNeed, idle: Sequence[_Entry], gone: Sequence[_Entry] = ()) -> list[_Entry]:
        """As many idle models as must go; all of them if even that is not enough.

        Args:
            gone: those that go in any case.
        """
        leaving: list[_Entry] = []
        for entry in idle:
            if self._budget.fits(need, without=[*gone, *leaving]):
                break
            leaving.append(entry)
        return leaving

    def _leave(self, entry: _Entry) -> None:
        """The entry goes, if nobody uses it any more."""
        if entry.users:
            return
        if entry.replaced:
            entry.left.set()
            return
        if self._entries.get(entry.name) is not entry:
            return
        name = entry.name
        del self._entries[name]
        self._budget.release(entry)
        # Whoever used it last may hold it for a moment.
        entry.forget()
        memory.reclaim()
        log.info("unloaded %s", name, extra={"fields": {"model": name}})

    def _evict(self, entries: list[_Entry], arriving: str) -> None:
        for entry in entries:
            del self._entries[entry.name]
            self._budget.release(entry)
            entry.forget()
            self._evictions += 1
            log.info("evicted %s", entry.name, extra={"fields": {"model": entry.name, "for": arriving}})
        if entries:
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
        free_after = {entry: self._expected(entry) for entry in self._budget if entry not in idle}
        in_the_way: list[_Entry] = []
        for other in sorted(free_after, key=free_after.__getitem__):
            if self._budget.fits(need, without=[*idle, *in_the_way]):
                break
            in_the_way.append(other)
        seconds = max(1, math.ceil(free_after[in_the_way[-1]]))
        names = sorted({entry.name for entry in in_the_way})
        fields = {"model": name, "in_the_way": names, "retry_after": seconds}
        log.warning("no memory for %s now", name, extra={"fields": fields})
        in_use, needed = self._budget.total(without=idle), self._budget.total(need, without=idle)
        size = memory.deployable(needed)
        return InsufficientMemory(
            f"{name} needs {memory.spelled(needed - in_use)}, and {memory.spelled(self._budget.size - in_use)} can be "
            f"had while {' and '.join(names)} {'is' if len(names) == 1 else 'are'} in use. "
            f"Ask again in {seconds} s" + (f", or deploy the function with --memory={size}." if size else "."),
            retry_after=seconds,
        )

    def _expected(self, entry: _Entry) -> float:
        """Seconds until nobody is expected to use the entry."""
        seconds = self._uses.seconds if entry.loaded else self._loads.seconds + self._uses.seconds
        return seconds - (self.clock() - entry.since)


class _Use:
    """What ``with cache.use(…)`` enters; a generator would take twice as long."""

    __slots__ = ("_began", "_cache", "_caller", "_entry", "_name", "_phases")

    _entry: _Entry

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

    def __init__(self, cache: ModelCache, entry: _Entry) -> None:
        self._cache = cache
        self._entry = entry

    def __enter__(self) -> None:
        self._cache.hold(self._entry)

    def __exit__(self, *raised: object) -> None:
        self._cache.leave(self._entry, None)


def _failure(name: str, exc: BaseException, level: int = logging.ERROR) -> ServingError:
    """What those hear who wait for the model; the log has what they need not know."""
    if not isinstance(exc, ServingError) or (isinstance(exc, ArtifactRefused) and exc.__cause__ is not None):
        log.log(level, "cannot load %s", name, exc_info=exc, extra={"fields": {"model": name}})
    if isinstance(exc, ServingError):
        return exc.again()
    # A model may raise anything while it is loaded, SystemExit included; the instance goes on.
    return ModelUnavailable(f"{name} cannot be loaded now ({type(exc).__name__}). The function's log has the reason.")


def _is_held(error: ServingError) -> bool:
    """Whether what failed keeps its memory for ever."""
    return isinstance(error, SelfTestHangs) and not error.ended
