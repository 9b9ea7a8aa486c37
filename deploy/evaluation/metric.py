"""What is measured: names, which way is better, and what a missing figure means."""

from typing import NamedTuple


class Metric(NamedTuple):
    """Args: undefined: why data may have no such figure, as a sentence goes on after "because"."""

    name: str
    means: str
    lower_is_better: bool = False
    undefined: str = "the data has no rows that were answered"

    def drop(self, before: float, now: float) -> float:
        """How much worse it is now; below 0 where it is better."""
        return now - before if self.lower_is_better else before - now
