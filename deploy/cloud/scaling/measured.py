"""What an instance takes for a start and for an answer, as the emulator was measured to take it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

#: Made by ``python -m tests.benchmarks.scale --measure``.
MEASURED_FILE = Path(__file__).with_name("measured.json")

MEASURE = "python -m tests.benchmarks.scale --measure"


@dataclass(frozen=True)
class Service:
    """One family's, seconds all of them.

    Args:
        cold: that a request waits for the instance that is started for it; what its answer takes comes on top.
        warm: of an answer that nothing else is asked beside.
        work: of the instance that an answer costs when it has as much to do as it can.
        beside: no seconds, but the part by which a start is longer for each other one at that time, on one machine.
    """

    cold: tuple[float, ...]
    warm: tuple[float, ...]
    work: float
    beside: float = 0.0

    @property
    def mean_cold(self) -> float:
        return math.fsum(self.cold) / len(self.cold)

    @property
    def mean_warm(self) -> float:
        return math.fsum(self.warm) / len(self.warm)

    @property
    def share(self) -> float:
        """Of an answer's time, what nobody else can have meanwhile; the rest is its way there and back."""
        return min(1.0, self.work / self.mean_warm)


@dataclass(frozen=True)
class Measured:
    """A file of measurements."""

    file: Path
    where: str
    services: Mapping[str, Service]

    @classmethod
    def read(cls, file: Path = MEASURED_FILE) -> Self:
        """Raises ValueError that names the file, the family and the value."""
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} cannot be read: {error}. Make it: {MEASURE} {file}") from error
        families = found.get("families") if isinstance(found, dict) else None
        if not isinstance(families, dict) or not families:
            raise ValueError(f'{file} has no "families". Make it: {MEASURE} {file}')
        services = {family: _service(file, family, given) for family, given in families.items()}
        return cls(file, str(found.get("where", "")), services)

    def of(self, family: str) -> Service:
        if family not in self.services:
            there = ", ".join(sorted(self.services))
            raise ValueError(f"{self.file} has no measurement of {family}. It has: {there}. Measure it: {MEASURE}")
        return self.services[family]


def _service(file: Path, family: str, given: Any) -> Service:
    def seconds(name: str) -> tuple[float, ...]:
        values: Any = given.get(name) if isinstance(given, dict) else None
        listed: list[Any] = values if isinstance(values, list) else [values]
        if not listed or not all(_is_number(value) and value > 0 for value in listed):
            raise ValueError(
                f'{file}: "{name}" of {family} is {values!r}, and not seconds above 0. {MEASURE} makes it.'
            )
        return tuple(map(float, listed))

    cold, warm, work = seconds("cold_s"), seconds("warm_s"), seconds("work_s")[0]
    beside = given.get("beside", 0)
    if not _is_number(beside) or beside < 0:
        raise ValueError(f'{file}: "beside" of {family} is {beside!r}, and not 0 or more. {MEASURE} makes it.')
    return Service(cold, warm, work, beside)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
