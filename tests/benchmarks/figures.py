"""Medians, ratios and the tables that a person reads."""

import math
import statistics
from collections.abc import Sequence

from deploy import output


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def medians_by_phase(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """A phase that a run does not have took no time in it."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.median(run.get(name, 0.0) for run in runs) for name in names}


def shown(value: float | None, unit: str = "", digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is aligned left, the others right."""
    return "\n".join(output.table([head, *rows], figures=True))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least that share of all values does not exceed."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
