"""The rounds: each contender in turn is started, warmed up and put under every load; then all of them again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.launch import Launch, started
from tests.benchmarks.places import LOGS
from tests.benchmarks.progress import progress
from tests.benchmarks.warm.contenders import Contender
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.measuring import SHARE, Load, Run, Target, closed, opened

#: Before anything is counted.
WARM_UP_CLIENTS, WARM_UP_S = 4, 1.0
#: An open loop lasts longer than a closed one: a percentile of few requests says little.
OPEN_FACTOR = 2.0


@dataclass
class Measured:
    """All runs of one contender, by load.

    Args:
        reason: why it could not be measured; empty when it was.
    """

    runs: dict[Load, list[Run]] = field(default_factory=dict)
    reason: str = ""


class Rounds:
    """All contenders in turn.

    Args:
        loads: by the model that a contender serves; an open loop comes after the closed ones that it is a share of.
        items: by kind.
        seconds: that each closed load is measured.
    """

    def __init__(
        self,
        launches: Mapping[Contender, Launch],
        loads: Mapping[str, Sequence[Load]],
        items: Mapping[str, Sequence[Item]],
        seconds: float,
    ) -> None:
        self.measured = {contender: Measured() for contender in launches}
        self._launches = launches
        self._loads = loads
        self._items = items
        self._seconds = seconds

    def round(self) -> None:
        for contender, launch in self._launches.items():
            measured = self.measured[contender]
            if measured.reason:
                continue
            try:
                self._turn(contender, launch, measured)
            except (RuntimeError, OSError, ValueError) as exc:
                measured.reason = f"{type(exc).__name__}: {exc}"
                progress(f"{contender.model}, {contender.name}: {exc}")

    def _turn(self, contender: Contender, launch: Launch, measured: Measured) -> None:
        loads = self._loads[contender.model]
        with started(launch, LOGS / f"warm-{re.sub(r'[^a-zA-Z0-9]+', '-', contender.name)}.log") as server:
            server.first_answer()
            target = Target(server.port, server.pid, contender.protocol, contender.precision)
            closed(target, self._items[loads[-1].kind], WARM_UP_CLIENTS, WARM_UP_S)
            capacity: dict[str, float] = {}
            for load in loads:
                run = self._measure(target, load, capacity)
                capacity[load.kind] = max(capacity.get(load.kind, 0.0), run.rate)
                measured.runs.setdefault(load, []).append(run)
                progress(f"{contender.model:10} {contender.name:14} {load.name:28} {brief(run)}")

    def _measure(self, target: Target, load: Load, capacity: Mapping[str, float]) -> Run:
        items = self._items[load.kind]
        if load.clients:
            return closed(target, items, load.clients, self._seconds)
        rate = SHARE * capacity[load.kind]
        if not rate:
            raise RuntimeError("it gave no right answer, so that there is no rate for an open loop")
        return opened(target, items, rate, self._seconds * OPEN_FACTOR)


def brief(run: Run) -> str:
    """On one line, for who waits."""
    verdict = run.verdict
    parts = [
        f"{run.rate:8.1f}/s",
        f"p50 {(run.p50 or 0) * 1000:7.1f} ms",
        f"p99 {(run.p99 or 0) * 1000:7.1f} ms",
        f"cpu {run.cpu_s * 1000:6.2f} ms",
        f"client {run.client_cpu:4.0%}",
        f"{run.megabytes:5.0f} MB",
    ]
    counts = {"wrong": verdict.wrong, "failed": verdict.failed, "refused": verdict.refused}
    return "  ".join([*parts, *(f"{count} {name}" for name, count in counts.items() if count), verdict.example[:200]])
