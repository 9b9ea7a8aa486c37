"""Which models there are: read from the store now and then, not for every request."""

import threading
import time
from collections.abc import Callable

from model_functions.names import is_model_name
from model_functions.repository import Repository

#: Seconds for which the names are taken as they were read.
TTL_S = 10.0
#: Seconds between two looks for a name that is not among them: a new model is found at once, and a
#: stream of wrong names does not become a stream of listings.
MISS_TTL_S = 1.0


class Directory:
    """The names of the models of one family, or of all.

    Args:
        family: None means all.
    """

    def __init__(self, repository: Repository, family: str | None = None) -> None:
        self._repository = repository
        self._family = family
        self._families: dict[str, list[str]] = {}
        self._read_at = -TTL_S
        self._lock = threading.Lock()

    def names(self, sees: Callable[[str, str], bool] = lambda family, name: True) -> list[str]:
        """Every model that has an alias, sorted. Raises StoreUnavailable.

        Args:
            sees: whether a family and a name are for the eyes of who asks.
        """
        with self._lock:
            self._refresh(TTL_S)
            families = self._families
        return sorted(name for name in families if any(sees(family, name) for family in families[name]))

    def is_fresh(self) -> bool:
        """Whether the names are known without a look at the store."""
        return time.monotonic() - self._read_at < TTL_S

    def families(self, name: str) -> list[str]:
        """The families that have a model of that name: one, or none. Raises StoreUnavailable."""
        if not is_model_name(name):
            return []
        with self._lock:
            self._refresh(TTL_S if name in self._families else MISS_TTL_S)
            return self._families.get(name, [])

    def _refresh(self, ttl_s: float) -> None:
        now = time.monotonic()
        if now - self._read_at < ttl_s:
            return
        found: dict[str, list[str]] = {}
        for family, name in self._repository.names(self._family):
            found.setdefault(name, []).append(family)
        self._families, self._read_at = found, now
