"""Whose memory is accounted for, and whether another model fits beside them."""

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

from model_functions.artifact.manifest import MemoryNeed

#: What stands for a model: two revisions of one name may be here at once.
Key = TypeVar("Key", bound=Hashable)


class MemoryBudget(Generic[Key]):
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
        self._needs: dict[Key, MemoryNeed] = {}
        self._loading: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._needs

    def __iter__(self) -> Iterator[Key]:
        return iter(self._needs)

    def total(self, arriving: MemoryNeed | None = None, without: Collection[Key] = ()) -> int:
        """Bytes that are accounted for.

        Args:
            arriving: a model that would be loaded as well.
            without: those that would be gone.
        """
        present = {key: need for key, need in self._needs.items() if key not in without}
        own = sum(_most(need) if key in self._loading else need.model for key, need in present.items())
        runtimes = [need.runtime for need in present.values()]
        if arriving is not None:
            own += _most(arriving)
            runtimes.append(arriving.runtime)
        return max(runtimes, default=0) + own

    def fits(self, arriving: MemoryNeed, without: Collection[Key] = ()) -> bool:
        return self.total(arriving, without) <= self.size

    def alone(self, arriving: MemoryNeed) -> int:
        """Bytes that the model needs with no other beside it."""
        return arriving.runtime + _most(arriving)

    def admit(self, key: Key, need: MemoryNeed) -> None:
        """The model begins to load."""
        self._needs[key] = need
        self._loading.add(key)

    def settle(self, key: Key) -> None:
        """The model has been loaded."""
        self._loading.discard(key)

    def release(self, key: Key) -> None:
        """The model is gone, or never came."""
        self._needs.pop(key, None)
        self._loading.discard(key)


def either(one: MemoryNeed, other: MemoryNeed) -> MemoryNeed:
    """What is enough for each of them, one at a time."""
    return MemoryNeed(max(one.runtime, other.runtime), max(_most(one), _most(other)), max(one.model, other.model))


def _most(need: MemoryNeed) -> int:
    return max(need.load, need.model)
