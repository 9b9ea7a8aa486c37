"""When requests come: read from a file, or drawn from a rate for each minute."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deploy.cloud.scaling.arguments import LOGGED

MINUTE_S = 60.0

#: What a time of 0 s stands for where a file has no dates: the midnight before a Monday.
BEGINNING = datetime(2026, 6, 1, tzinfo=UTC)

#: Times from here on are seconds since 1970, as Unix has them.
_UNIX_S = 1e9


@dataclass(frozen=True)
class Trace:
    """Requests of some minutes.

    Args:
        rates: requests a second, for each minute.
        known: when each of them comes, in seconds; None where only the rates are given.
    """

    rates: NDArray[np.float64]
    known: NDArray[np.float64] | None = None
    begins: datetime = BEGINNING

    def __post_init__(self) -> None:
        if not len(self.rates):
            raise ValueError("A trace has no minutes. Give at least one.")
        wrong = self.rates[~(np.isfinite(self.rates) & (self.rates >= 0))]
        if len(wrong):
            raise ValueError(f"A trace has a rate of {wrong[0]:g} requests a second. Give 0 or more.")

    @property
    def seconds(self) -> float:
        return len(self.rates) * MINUTE_S

    @property
    def expected(self) -> float:
        return float(self.rates.sum()) * MINUTE_S

    @property
    def mean_rate(self) -> float:
        return self.expected / self.seconds

    def times(self, seed: int = 0) -> NDArray[np.float64]:
        """Ascending; within a minute, requests come independently of each other."""
        if self.known is not None:
            return self.known
        draw = np.random.default_rng(seed)
        number = draw.poisson(self.rates * MINUTE_S)
        minutes = np.repeat(np.arange(len(number)), number)
        return np.asarray(np.sort((minutes + draw.random(len(minutes))) * MINUTE_S))

    def counts(self, step_s: float, seed: int = 0) -> NDArray[np.float64]:
        """How many come in each step, of which a minute has a whole number."""
        steps = round(MINUTE_S / step_s)
        if self.known is not None:
            edges = np.arange(len(self.rates) * steps + 1) * step_s
            return np.histogram(self.known, edges)[0].astype(float)
        return np.random.default_rng(seed).poisson(np.repeat(self.rates * step_s, steps)).astype(float)

    @classmethod
    def read(cls, file: Path) -> Self:
        """A line is a time: seconds, or as Cloud Logging writes it. Raises ValueError that names line and value."""
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{file} cannot be read: {error}. A trace has a time in each line. Make it: {LOGGED}"
            ) from error
        times = [_time(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not times:
            raise ValueError(f"{file} is empty. A trace has a time in each line. Make it: {LOGGED}")
        _check_order(file, times)
        begins = BEGINNING if times[0] < _UNIX_S else _midnight(times[0])
        seconds = np.asarray(times) - (0 if times[0] < _UNIX_S else begins.timestamp())
        # Whole days: a plan is for days, and a night without a request is a part of one.
        minutes = math.ceil((seconds[-1] + 1e-9) / 86400) * 1440
        edges = np.arange(minutes + 1) * MINUTE_S
        return cls(np.histogram(seconds, edges)[0] / MINUTE_S, seconds, begins)


def _time(file: Path, number: int, line: str) -> float:
    try:
        time = float(line) if "T" not in line else datetime.fromisoformat(line.strip()).timestamp()
    except ValueError as error:
        raise ValueError(
            f'{file}, line {number}: "{line}" is no time. Write seconds, as 12.5, or 2026-11-20T10:11:12.5Z.'
        ) from error
    if not math.isfinite(time) or time < 0:
        raise ValueError(f'{file}, line {number}: "{line}" is no time from 0 on.')
    return time


def _check_order(file: Path, times: list[float]) -> None:
    for number, (earlier, later) in enumerate(pairwise(times), 2):
        if later < earlier:
            raise ValueError(
                f"{file}, time {number}: {later:.3f} comes after {earlier:.3f}. Sort the file: --order=asc in gcloud."
            )
    if times[-1] >= _UNIX_S > times[0]:
        raise ValueError(f"{file} begins with seconds and goes on with dates. Write all times alike.")


def _midnight(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
