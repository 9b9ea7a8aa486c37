"""What functions cost in a month of thirty days, by their flags and Google's prices."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

PRICES_FILE = Path(__file__).with_name("prices.yaml")

MONTH_S = 30 * 24 * 3600

#: Time is billed in steps of a tenth of a second.
STEP_S = 0.1

#: Cloud Run starts another instance before those there are have more to do than this part of the time.
TARGET_USE = 0.6

#: What a function gets by its memory where no --cpu says it.
_VCPUS = {
    "128Mi": 0.083,
    "256Mi": 0.167,
    "512Mi": 0.333,
    "1Gi": 0.583,
    "2Gi": 1,
    "4Gi": 2,
    "8Gi": 2,
    "16Gi": 4,
    "32Gi": 8,
}
_UNITS = {"Mi": 1 / 1024, "Gi": 1.0, "M": 1e6 / 2**30, "G": 1e9 / 2**30}


@dataclass(frozen=True)
class Prices:
    """In US dollars.

    Args:
        read: the day on which they were looked up.
        active: of a vCPU and of a GiB of memory, each second in which an instance starts or has a request.
        idle: of the same while ``--min-instances`` keeps it.
        job_month: of a job of Cloud Scheduler.
    """

    read: str
    active: tuple[float, float]
    idle: tuple[float, float]
    request: float
    job_month: float

    @classmethod
    def read_file(cls, file: Path = PRICES_FILE) -> Self:
        found: dict[str, Any] = yaml.safe_load(file.read_text())
        active, idle = ((found[state]["vcpu_second"], found[state]["gib_second"]) for state in ("active", "idle"))
        return cls(str(found["read"]), active, idle, found["request"], found["scheduler_job_month"])


@dataclass(frozen=True)
class Size:
    """Of an instance."""

    vcpus: float
    gib: float
    concurrency: int = 1

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> Self:
        """By gcloud's flags. Raises ValueError for a memory that is none."""
        memory = str(flags.get("--memory", "256Mi")).removesuffix("B")
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(Mi|Gi|M|G)", memory)
        if match is None:
            raise ValueError(f'"--memory: {memory}" is no size. Write it as 512Mi or 4Gi.')
        vcpus = flags.get("--cpu", _VCPUS.get(memory))
        if vcpus is None:
            raise ValueError(f'"--memory: {memory}" has no usual number of CPUs. Say how many: --cpu.')
        return cls(float(vcpus), float(match[1]) * _UNITS[match[2]], int(flags.get("--concurrency", 1)))

    def second(self, prices: tuple[float, float]) -> float:
        return self.vcpus * prices[0] + self.gib * prices[1]


def used(prices: Prices, size: Size, active_s: float, requests: float = 0, kept_s: float = 0, jobs: float = 0) -> float:
    """What it all comes to: every other sum here, and every simulation, is made of it.

    Args:
        active_s: seconds, all instances together, in which they start or have a request.
        kept_s: seconds in which ``--min-instances`` keeps them without one.
        jobs: of Cloud Scheduler, each a month.
    """
    instances = active_s * size.second(prices.active) + kept_s * size.second(prices.idle)
    return instances + requests * prices.request + jobs * prices.job_month


def pings(prices: Prices, size: Size, number: int, seconds: float) -> float:
    """A job and its pings in a month, each of which keeps the instance busy for so long."""
    return used(prices, size, number * billed(seconds), number, jobs=1)


def kept(prices: Prices, size: Size) -> float:
    """``--min-instances=1`` for a month without a request."""
    return used(prices, size, 0, kept_s=MONTH_S)


def traffic(prices: Prices, size: Size, rate: float, seconds: float, at_once: int = 1) -> float:
    """At most, for so many requests a second, day and night, each of which takes so long.

    Args:
        at_once: requests that an instance works on side by side: a model takes one after the other.
    """
    each_alone = rate * billed(seconds)
    never_idle = math.ceil(rate * seconds / (TARGET_USE * at_once))
    return used(prices, size, MONTH_S * min(each_alone, never_idle), MONTH_S * rate)


def billed(seconds: float) -> float:
    return max(1, math.ceil(round(seconds / STEP_S, 6))) * STEP_S
