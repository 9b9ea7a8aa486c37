"""Follows the aliases while the instance serves: looks at them now and then, and takes up what they name.

A use of a model makes its name due (``ModelCache.due``); all else happens in threads that no request waits for.
"""

import logging
import threading
import time
from collections.abc import Callable

from model_functions.artifact.manifest import REVISION_LENGTH, Manifest
from model_functions.backoff import Backoff
from model_functions.cache import Loader, ModelCache
from model_functions.errors import (
    InsufficientMemory,
    ModelNotFound,
    SelfTestHangs,
    ServingError,
    StoreUnavailable,
)
from model_functions.phases import Phases
from model_functions.succession import Succession

#: Seconds between two looks at a store that was away, at least.
AWAY_S = 10.0
#: Seconds for which a revision that was refused is not loaded again; each further time twice as long.
REFUSED_S = 60
LONGEST_REFUSED_S = 3600

#: What says nothing about a revision: the store is away, the alias was deleted, others are in use.
_PASSING = (StoreUnavailable, ModelNotFound, InsufficientMemory)

log = logging.getLogger(__name__)


class Updates:
    """What the store says of the models that this instance serves.

    Args:
        refresh_s: seconds from one look at an alias to the next.
    """

    def __init__(
        self, cache: ModelCache, loader: Loader, refresh_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cache = cache
        self._succession = Succession(cache, loader)
        self._loader = loader
        self._refresh_s = refresh_s
        self._clock = clock
        self._lock = threading.Lock()
        self._backoff = Backoff(clock, REFUSED_S, LONGEST_REFUSED_S)
        self._hung: dict[str, ServingError] = {}
        self._aims: dict[str, str] = {}
        self._told: dict[str, tuple[str, str, str]] = {}
        self.updates = self.failures = 0
        """Revisions that took another's place, and those that were refused."""

    def start(self) -> None:
        """Looks from now on at whatever is due."""
        threading.Thread(target=self._run, name="updates", daemon=True).start()

    def _run(self) -> None:
        while True:
            # A thread each: one model's long load keeps no other from its look.
            threading.Thread(target=self.look, args=[self._cache.due.get()], name="update", daemon=True).start()

    def look(self, name: str) -> None:
        """Sees where the model's alias points, and follows it. Raises nothing."""
        began, wait_s = self._clock(), self._refresh_s
        try:
            self._follow(name)
        except Exception as exc:  # noqa: BLE001 - the model serves on, whatever happens here
            self._fall_behind(name, exc)
            wait_s = max(wait_s, AWAY_S) if isinstance(exc, StoreUnavailable) else wait_s
        self._cache.look_after(name, max(0.0, began + wait_s - self._clock()))

    def _follow(self, name: str) -> None:
        model = self._cache.serving(name)
        if model is None:
            return
        # Not the model itself: it is to leave before this ends.
        serving, freshness = model.manifest, model.freshness
        del model
        self._aims[name] = "?"
        digest = self._loader.aimed(name)
        self._aims[name] = digest[:REVISION_LENGTH]
        if digest != serving.digest:
            self._take_up(name, serving, digest)
        elif freshness.is_stale:
            freshness.is_stale = False
            log.info("%s serves what its alias names again", name, extra={"fields": {"model": name}})
        self._told.pop(name, None)

    def _take_up(self, name: str, serving: Manifest, digest: str) -> None:
        """Raises whatever keeps the revision from being served, also while that is remembered."""
        if digest in self._hung:
            raise self._hung[digest].again()
        with self._lock:
            self._backoff.check(digest)
        began = self._clock()
        try:
            is_taken = self._succession.revise(name, self._loader.resolve(name, Phases()))
        except ServingError as error:
            self._remember(digest, error)
            raise
        if is_taken:
            seconds = round(self._clock() - began, 3)
            revision, before = digest[:REVISION_LENGTH], serving.revision
            fields = {"model": name, "revision": revision, "before": before, "seconds": seconds}
            log.info("updated %s", name, extra={"fields": fields})
            with self._lock:
                self._backoff.forget(digest)
                self.updates += 1

    def _remember(self, digest: str, error: ServingError) -> None:
        with self._lock:
            if isinstance(error, SelfTestHangs):
                self._hung[digest] = error.again()
            elif not isinstance(error, _PASSING):
                self._backoff.remember(digest, error)

    def _fall_behind(self, name: str, exc: Exception) -> None:
        """The model is stale from now on; the log says why, once."""
        model, revision = self._cache.serving(name), self._aims[name]
        if model is not None:
            model.freshness.is_stale = True
        code = exc.code if isinstance(exc, ServingError) else type(exc).__name__
        reason = revision, code, str(exc)
        if self._told.get(name) == reason:
            return
        self._told[name] = reason
        is_passing = isinstance(exc, _PASSING)
        fields = {"model": name, "revision": revision, "code": code}
        fields |= {"serving": model.manifest.revision} if model else {}
        log.log(
            logging.WARNING if is_passing else logging.ERROR,
            *("%s is not updated to %s: %s", name, revision, str(exc)),
            exc_info=None if isinstance(exc, ServingError) else exc,
            extra={"fields": fields},
        )
        if not is_passing:
            with self._lock:
                self.failures += 1
