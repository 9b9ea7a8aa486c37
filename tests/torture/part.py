"""What a part of the torture is: a module with ``LENGTHS`` and ``run``, which measures what its bars demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.torture.place import Place

#: In the order in which they run: what needs the machine for itself is not behind what leaves it hot.
PARTS = (
    *("corpus", "fuzz", "tampering", "faults", "herd", "publishers", "batches", "flips", "dead_bucket"),
    *("sigterm", "late", "overload", "slow_clients", "memory", "soak", "secrets"),
)


@dataclass(frozen=True)
class Bar:
    """One thing that was demanded, and what was found."""

    what: str
    bound: str
    value: str
    met: bool


class Part(Protocol):
    """A module of this folder.

    Args:
        LENGTHS: by ``ci``, ``short`` and ``full``, how long or how often, in the part's own terms; the last is the
            bar's own. What measures times, or needs long to tell anything, has no ``ci``.
    """

    LENGTHS: Mapping[str, float]

    @staticmethod
    def run(length: str, place: Place) -> Sequence[Bar]: ...
