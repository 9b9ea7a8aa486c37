"""Another revision takes the place of the one that serves: beside it, or where there is no room for both, after it."""

import logging
import threading
import time
import weakref
from typing import cast

from model_functions import memory
from model_functions.artifact.manifest import Manifest
from model_functions.cache import Loader, ModelCache, failure_of
from model_functions.errors import InsufficientMemory, ModelTooLarge, SelfTestHangs, ServingError, StoreUnavailable
from model_functions.loaded import Entry, Freshness, LoadedModel
from model_functions.phases import Phases
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)

#: Seconds that a revision's last requests may take where another can only come after it.
DRAIN_S = 30.0
#: Seconds to wait, one after the other, for those who held a model last, and from one look at it to the next.
_HELD_S = (0.2, 1.0, 3.0)
_LOOK_S = 0.01
#: Seconds after which a store is asked again for what has to come back.
_AWAY_S = 0.25


class Succession:
    """Changes the revisions that a cache serves."""

    def __init__(self, cache: ModelCache, loader: Loader) -> None:
        self._cache = cache
        self._admission = cache.admission
        self._loader = loader

    def revise(self, name: str, manifest: Manifest) -> bool:
        """Puts another revision into the place of the one that serves, which its last request lets go of.

        Where there is no room for both, requests wait until the one has left and the other has come, and where that
        one fails, until the first is back.

        Returns whether it serves now; a model that has left meanwhile stays away.
        Raises ArtifactRefused, ModelTooLarge, StoreUnavailable, InsufficientMemory: then the first serves on.
        """
        admission = self._admission
        with admission.lock:
            old = admission.entries.get(name)
            if old is None or old.ready is None or old.leaving:
                return False
            arriving, first = Entry(name, admission.clock()), old.ready.manifest
            try:
                is_beside = admission.admit_successor(old, arriving, first.here.memory, manifest.here.memory)
            except ModelTooLarge:
                self._cache.refuse(manifest)
                raise
        if is_beside:
            return self._come_beside(old, arriving, manifest)
        self._come_after(old, arriving, first, manifest)
        return True

    def _come_beside(self, old: Entry, arriving: Entry, manifest: Manifest) -> bool:
        failure: ServingError | None = None
        admission = self._admission
        try:
            wrapper = self._loader.load_tested(manifest)
        except BaseException as exc:  # noqa: BLE001 - told to who asked
            failure = self._refusal(manifest, exc)
        else:
            with admission.lock:
                # Else it was evicted, or unloaded: the next request finds the revision by itself.
                is_here = admission.entries.get(old.name) is old and not old.leaving
                if is_here:
                    admission.replace(old, arriving)
                    self._cache.settle(arriving, LoadedModel(wrapper, manifest))
            if is_here:
                threading.Thread(target=self._free, args=[old], name="free", daemon=True).start()
                return True
            del wrapper
        memory.reclaim()
        if failure is None or not _is_held(failure):
            with admission.lock:
                admission.budget.release(arriving)
        if failure is not None:
            raise failure
        return False

    def _come_after(self, old: Entry, arriving: Entry, first: Manifest, manifest: Manifest) -> None:
        admission = self._admission
        if not old.left.wait(DRAIN_S):
            with admission.lock:
                self._cache.settle(arriving, cast(LoadedModel, old.ready))
                old.forget()
            raise InsufficientMemory(
                f"{old.name} has requests that take more than {DRAIN_S:g} s, and there is no room for two revisions."
            )
        _let_go(old)
        try:
            wrapper = self._loader.load_tested(manifest)
        except BaseException as exc:  # noqa: BLE001 - told to who asked
            failure = self._refusal(manifest, exc)
        else:
            with admission.lock:
                self._cache.settle(arriving, LoadedModel(wrapper, manifest))
            return
        memory.reclaim()
        if _is_held(failure):
            with admission.lock:
                admission.budget.admit(Entry(old.name, admission.clock()), manifest.here.memory)
        self._come_back(arriving, first)
        raise failure

    def _come_back(self, arriving: Entry, first: Manifest) -> None:
        """The revision that has left for nothing, or what keeps it away, for those who wait."""
        try:
            wrapper = self._loaded_again(first)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            error = failure_of(first.name, exc)
        else:
            with self._admission.lock:
                self._cache.settle(arriving, LoadedModel(wrapper, first, freshness=Freshness(is_stale=True)))
            return
        self._cache.fail(arriving, error)

    def _loaded_again(self, first: Manifest) -> ModelWrapper:
        """Also from a store that is away for a moment."""
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
        if isinstance(exc, StoreUnavailable | InsufficientMemory):
            return exc.again()
        self._cache.refuse(manifest)
        return failure_of(manifest.name, exc, logging.WARNING)

    def _free(self, entry: Entry) -> None:
        entry.left.wait()
        _let_go(entry)
        with self._admission.lock:
            self._admission.budget.release(entry)


def _let_go(entry: Entry) -> None:
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


def _is_held(error: ServingError) -> bool:
    """Whether what failed keeps its memory for ever."""
    return isinstance(error, SelfTestHangs) and not error.ended
