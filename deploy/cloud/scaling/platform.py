"""The rules by which instances come and go: Cloud Run's, as its pages have them, and the emulator's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from deploy.cloud.costs import TARGET_USE
from deploy.cloud.scaling.measured import Service

#: Seconds for which Cloud Run keeps an instance that has nothing to do, at most; it promises none of them.
IDLE_S = 15 * 60

#: Between two looks of its autoscaler, and how far back each of them looks.
LOOK_S, WINDOW_S = 5.0, 60.0

#: Seconds until a container is placed and its image streamed, which no emulator does. Google's talk on cold starts of
#: AI functions (Next '26) says one to two.
PLACING_S = 1.5

#: A request that no instance has room for is held so long, or for so many mean starts, whichever is more; then 429.
HELD_S, HELD_STARTS = 10.0, 3.5

#: What a function may have where nobody says more.
MOST = 100


@dataclass(frozen=True)
class Platform:
    """What decides when an instance starts and ends.

    Args:
        concurrency: requests that an instance gets at once.
        least: instances that are kept whatever happens: ``--min-instances``.
        most: ``--max-instances``.
        target_use: part of the time that instances have work, above which more are started; None where nobody looks.
        placing_s: seconds of a start that come before those that were measured.
        is_one_machine: whether instances that start at the same time take processors from each other.
    """

    concurrency: int
    least: int = 0
    most: int = MOST
    idle_s: float = IDLE_S
    look_s: float = LOOK_S
    target_use: float | None = TARGET_USE
    placing_s: float = PLACING_S
    is_one_machine: bool = False

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"--concurrency is {self.concurrency}. An instance takes at least one request.")
        if not 0 <= self.least <= self.most or self.most < 1:
            raise ValueError(
                f"--min-instances is {self.least} and --max-instances is {self.most}. "
                "Give 0 <= min <= max, and max >= 1."
            )
        if not self.idle_s > 0 or not self.look_s > 0:
            raise ValueError(f"An instance is kept for {self.idle_s:g} s without a request. Give more than 0.")

    @classmethod
    def cloud_run(cls, flags: Mapping[str, Any]) -> Self:
        """By gcloud's flags."""
        return cls(
            concurrency=int(flags.get("--concurrency", 1)),
            least=int(flags.get("--min-instances", 0)),
            most=int(flags.get("--max-instances", MOST)),
        )

    @classmethod
    def emulator(cls, concurrency: int, most: int, idle_s: float) -> Self:
        """``python -m deploy emulate``: it starts what requests need, and looks for idle ones now and then."""
        look_s = min(idle_s / 4, LOOK_S)
        return cls(concurrency, 0, most, idle_s, look_s, target_use=None, placing_s=0.0, is_one_machine=True)

    def keeping(self, least: int) -> Self:
        return replace(self, least=least, most=max(self.most, least))

    def beginning(self, there: int) -> int:
        """Instances that a simulation begins with, where so many are there already."""
        return min(max(there, self.least), self.most)

    def held_s(self, service: Service) -> float:
        return max(HELD_S, HELD_STARTS * (self.placing_s + service.mean_cold))
