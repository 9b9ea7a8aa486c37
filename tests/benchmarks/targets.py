"""A figure that is held against its bound, and how many of them are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import shown, table


@dataclass(frozen=True)
class Target:
    """A figure and its bound.

    Args:
        value: None where something that it is made of was not measured.
    """

    name: str
    value: float | None
    bound: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        met = self.value >= self.bound if self.at_least else self.value <= self.bound
        return "met" if met else "missed"

    def row(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.at_least else "≤"
        return self.name, f"{sign} {self.bound:g}", shown(self.value, digits=3), self.verdict


def targets_table(held: Sequence[Target]) -> str:
    return table(("target", "bound", "value", ""), [target.row() for target in held])
