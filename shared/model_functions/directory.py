"""Which models there are: read from the store now and then, not for every request."""

import threading
import time
from collections.abc import Callable

from model_functions.errors import StoreUnavailable
from model_functions.names import is_model_name
from model_functions.repository import Repository

#: Seconds for which the names are taken as they were read.
TTL_S = 10.0
#: Seconds between two looks for a name that is not among them: a new model is found at once, and a
#: stream of wrong names does not become a stream of listings.
MISS_TTL_S = 1.0

#: Whether a family and a name are for the eyes of who asks.
Sees = Callable[[str, str], bool]


class Directory:
    """The names of the models of one family, or of all.

    Args:
        family: None means all.
    """

    def __init__(self, repository: Repository, family: str | None = None) -> None:
        self._repository = repository
        self._family = family
        self._families: dict[str, list[str]] = {}
        self._looked_at = -TTL_S
        self._away: StoreUnavailable | None = None
        self._lock = threading.Lock()
        self._is_looking = False

    def names(self, sees: Sees = lambda family, name: True) -> list[str]:
        """Every model that has an alias, sorted; those of before while the store is away.

        Args:
            sees: whether a family and a name are for the eyes of who asks.

        Raises StoreUnavailable where there is no before.
        """
        self._look(TTL_S)
        if self._away is not None and not self._families:
            raise self._away.again()
        return self._seen(sees)

    def known(self, sees: Sees = lambda family, name: True) -> list[str]:
        """The same, without waiting for anything where they have been read before: a look goes on beside."""
        if not self._families:
            return self.names(sees)
        self._look_beside()
        return self._seen(sees)

    @property
    def is_known(self) -> bool:
        """Whether ``known`` waits for nothing."""
        return bool(self._families)

    def families(self, name: str) -> list[str]:
        """The families that have a model of that name: one, or none. Raises StoreUnavailable."""
        if not is_model_name(name):
            return []
        if name in self._families:
            self._look_beside()
        else:
            self._look(MISS_TTL_S)
            if self._away is not None and name not in self._families:
                raise self._away.again()
        return self._families.get(name, [])

    def _seen(self, sees: Sees) -> list[str]:
        found = self._families
        return sorted(name for name, families in found.items() if any(sees(family, name) for family in families))

    def _look(self, ttl_s: float) -> None:
        with self._lock:
            if time.monotonic() - self._looked_at < ttl_s:
                return
            found: dict[str, list[str]] = {}
            try:
                for family, name in self._repository.names(self._family):
                    found.setdefault(name, []).append(family)
                self._families, self._away = found, None
            except StoreUnavailable as exc:
                self._away = exc.again()
            self._looked_at = time.monotonic()

    def _look_beside(self) -> None:
        if self._is_looking or time.monotonic() - self._looked_at < TTL_S:
            return
        self._is_looking = True
        threading.Thread(target=self._look_once, name="directory", daemon=True).start()

    def _look_once(self) -> None:
        try:
            self._look(TTL_S)
        finally:
            self._is_looking = False
