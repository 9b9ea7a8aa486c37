"""Whose memory is accounted for, and whether another model fits beside them."""

from collections.abc import Collection

from model_functions.artifact.manifest import MemoryNeed


class MemoryBudget:
    """The models that are in memory or on their way there; the caller sees to it that one thread at a time asks.

    What they need together is the largest runtime among them, which they share, and each one's own: what it keeps,
    or while it is loaded, what that takes at most.

    Args:
        limit: bytes of the instance.
        reserve: bytes of the limit that models do not get.
    """

    def __init__(self, limit: int, reserve: int) -> None:
        self.limit = limit
        self.reserve = reserve
        self.size = max(limit - reserve, 0)
        self._needs: dict[str, MemoryNeed] = {}
        self._loading: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._needs

    def total(self, arriving: MemoryNeed | None = None, without: Collection[str] = ()) -> int:
        """Bytes that are accounted for.

        Args:
            arriving: a model that would be loaded as well.
            without: names that would be gone.
        """
        present = {name: need for name, need in self._needs.items() if name not in without}
        own = sum(_most(need) if name in self._loading else need.model for name, need in present.items())
        runtimes = [need.runtime for need in present.values()]
        if arriving is not None:
            own += _most(arriving)
            runtimes.append(arriving.runtime)
        return max(runtimes, default=0) + own

    def fits(self, arriving: MemoryNeed, without: Collection[str] = ()) -> bool:
        return self.total(arriving, without) <= self.size

    def alone(self, arriving: MemoryNeed) -> int:
        """Bytes that the model needs with no other beside it."""
        return arriving.runtime + _most(arriving)

    def admit(self, name: str, need: MemoryNeed) -> None:
        """The model begins to load."""
        self._needs[name] = need
        self._loading.add(name)

    def settle(self, name: str) -> None:
        """The model has been loaded."""
        self._loading.discard(name)

    def release(self, name: str) -> None:
        """The model is gone, or never came."""
        self._needs.pop(name, None)
        self._loading.discard(name)


def _most(need: MemoryNeed) -> int:
    return max(need.load, need.model)
