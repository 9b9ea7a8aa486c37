"""What the runs add up to: figures by contender, the findings that the targets are about, and how they are shown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.cold.answers import agreement
from tests.benchmarks.cold.bars import UNTOLD, Bar
from tests.benchmarks.cold.contenders import (
    BARE,
    FAST,
    PEER_NAMES,
    QUARTER_FAST,
    QUARTER_TORCH,
    TABLE,
    TORCH,
    TUTORIAL,
)
from tests.benchmarks.cold.limits import Constants, least_seconds
from tests.benchmarks.cold.rounds import Measured
from tests.benchmarks.cold.stampede import Stampede
from tests.benchmarks.cold.targets import Findings
from tests.benchmarks.figures import median, medians_by_phase, ratio, shown, table
from tests.benchmarks.targets import Target

#: Phases that grow with the model's bytes.
SIZE_PHASES = ("download", "verify", "load")
#: Phases that are no part of loading.
NOT_LOADING = ("boot", "idle", "queue", "infer", "other")
SMALL = {FAST: QUARTER_FAST, TORCH: QUARTER_TORCH}
MEGA = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One contender's medians.

    Args:
        seconds: exec → first 200.
        peak: megabytes of the process tree.
        phases: milliseconds; empty for those that tell none.
        stored: bytes of its model in the bucket.
        refused: answers other than 200 before it.
        digests: CPU milliseconds of the digests, as the log tells.
        answer: the first one.
        reason: why it was not measured.
    """

    name: str
    what: str
    seconds: float | None
    peak: float | None
    phases: dict[str, float]
    stored: int | None
    engine: str | None
    refused: float | None
    digests: float | None
    answer: str
    runs: list[float]
    reason: str

    @classmethod
    def of(cls, name: str, measured: Measured, published: Mapping[str, Any]) -> "Row":
        contender = next(contender for contender in TABLE if contender.name == name)
        phases = [run for run in measured.phases if run]
        digests = re.search(r'"digests_cpu_ms": ([0-9.]+)', measured.log)
        return cls(
            name=name,
            what=contender.what,
            seconds=median(measured.seconds),
            peak=median(measured.megabytes),
            phases=medians_by_phase(phases),
            stored=published.get("stored"),
            engine=published.get("engine"),
            refused=median(measured.refused),
            digests=float(digests[1]) if digests else None,
            answer=measured.answer,
            runs=measured.seconds,
            reason=measured.reason or str(published.get("reason", "")),
        )

    def bar(self) -> Bar:
        """What no phase covers comes before the first of them."""
        seconds = self.seconds or 0.0
        parts = {name: duration / 1000 for name, duration in self.phases.items() if duration}
        name = "start" if parts else UNTOLD
        return Bar(self.name, {name: max(seconds - sum(parts.values()), 0.0)} | parts)

    def loading(self) -> float:
        return sum(duration for name, duration in self.phases.items() if name not in NOT_LOADING)

    def verification(self) -> float | None:
        if "verify" not in self.phases and self.digests is None:
            return None
        return ratio(self.phases.get("verify", 0.0) + (self.digests or 0.0), self.loading())


def findings(
    rows: Mapping[str, Row],
    runtime: Mapping[str, float],
    limits: Mapping[str, Constants],
    stampedes: Mapping[str, Stampede],
    cores: int,
) -> Findings:
    lanes = (FAST, TORCH)

    def seconds(name: str) -> float | None:
        return rows[name].seconds if name in rows else None

    def peak(name: str) -> float | None:
        return rows[name].peak if name in rows else None

    stored = rows[TORCH].stored if TORCH in rows else None
    efficiencies = {
        lane: ratio(least_seconds(limits[lane], cores), seconds(lane)) if lane in limits else None for lane in lanes
    }
    return Findings(
        fast=seconds(FAST),
        torch=seconds(TORCH),
        tutorial=seconds(TUTORIAL),
        peers=[seconds(peer) for peer in PEER_NAMES],
        fast_peak=peak(FAST),
        torch_peak=peak(TORCH),
        torch_runtime=runtime.get(TORCH),
        tutorial_peak=peak(TUTORIAL),
        weights=None if stored is None else stored / MEGA,
        efficiency=efficiencies,
        verification={lane: rows[lane].verification() if lane in rows else None for lane in lanes},
        stampedes={lane: _counts(stampedes.get(lane)) for lane in lanes},
        growth={lane: _growth(rows.get(SMALL[lane]), rows.get(lane)) for lane in lanes},
    )


def _counts(stampede: Stampede | None) -> tuple[float, int, int] | None:
    return None if stampede is None else (stampede.downloads, stampede.loads, stampede.answered)


def _growth(small: Row | None, large: Row | None) -> tuple[float, float] | None:
    if small is None or large is None or not small.phases or not large.phases:
        return None
    size = ratio(large.stored, small.stored)
    seconds = ratio(_size_milliseconds(large), _size_milliseconds(small))
    return None if size is None or seconds is None else (size, seconds)


def _size_milliseconds(row: Row) -> float:
    return sum(row.phases.get(name, 0.0) for name in SIZE_PHASES)


def contenders_table(rows: Sequence[Row]) -> str:
    tutorial = next((row for row in rows if row.name == TUTORIAL), None)
    head = (
        *("contender", "model", "engine", "first 200", "fastest", "÷ tutorial", "peak"),
        *("refused before", "same entities"),
    )
    cells = [
        (
            row.name,
            row.what,
            row.engine or "",
            shown(row.seconds, " s"),
            shown(min(row.runs, default=None), " s"),
            shown(ratio(row.seconds, tutorial.seconds) if tutorial and row.what == tutorial.what else None),
            shown(row.peak, " MB", 0),
            shown(row.refused, digits=0),
            shown(agreement(row.answer, tutorial.answer) if tutorial and row.what == tutorial.what else None),
        )
        for row in rows
        if not row.reason
    ]
    missing = [f"{row.name}: not measured: {row.reason.splitlines()[0]}" for row in rows if row.reason]
    return "\n".join([table(head, cells), *missing])


def phases_table(rows: Sequence[Row]) -> str:
    """Milliseconds of each phase in the header, whatever it has."""
    telling = [row for row in rows if row.phases]
    names = list(dict.fromkeys(name for row in telling for name in row.phases))
    cells = [(row.name, *(shown(row.phases.get(name), digits=0) for name in names)) for row in telling]
    return table(("phases in ms", *names), cells)


def limits_table(limits: Mapping[str, Constants], rows: Mapping[str, Row], cores: int) -> str:
    head = ("limit", "boot", "fetch", "receive CPU", "import CPU", "import", "wire", "first", "limit", "measured")
    cells = []
    for lane, known in limits.items():
        values = (
            known.boot,
            known.round_trip + known.stored / known.rate,
            known.stored * known.receiving_cpu,
            known.import_cpu,
            known.import_wall,
            known.wire,
            known.first,
            least_seconds(known, cores),
            rows[lane].seconds,
        )
        cells.append((lane, *(shown(value, " s", 3) for value in values)))
    return table(head, cells)


def document(rows: Sequence[Row], held: Sequence[Target], **more: Any) -> dict[str, Any]:
    verdicts = [asdict(target) | {"verdict": target.verdict} for target in held]
    return more | {"contenders": [asdict(row) for row in rows], "targets": verdicts}


def bars(rows: Sequence[Row]) -> list[Bar]:
    return [row.bar() for row in rows if row.seconds is not None and row.name != BARE]
