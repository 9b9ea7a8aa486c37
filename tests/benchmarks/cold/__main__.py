"""``make bench-cold``: process exec → first 200 of our lanes, the tutorial way and other servers, in one run.

Every process starts with a warm page cache: this measures the programs, and not the disk.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from deploy.project import ROOT
from tests.benchmarks.bucket_process import BucketProcess, bucket_process, publish
from tests.benchmarks.cold import bars, contenders, report
from tests.benchmarks.cold.constants import constants
from tests.benchmarks.cold.contenders import BARE, FAST, TABLE, TORCH, Contender
from tests.benchmarks.cold.limits import Constants
from tests.benchmarks.cold.places import PLOT, REPORT
from tests.benchmarks.cold.report import Row
from tests.benchmarks.cold.rounds import Measured, Rounds
from tests.benchmarks.cold.runtime import runtime_megabytes
from tests.benchmarks.cold.stampede import Stampede, stampede
from tests.benchmarks.cold.targets import targets
from tests.benchmarks.functions import programs, stage_once
from tests.benchmarks.launch import Launch
from tests.benchmarks.places import BENCH, FUNCTIONS, MODELS, shown
from tests.benchmarks.progress import progress
from tests.benchmarks.targets import targets_table

T = TypeVar("T")

RUNS = 7
MEMORY_RUNS = 3
LANES = (FAST, TORCH)


def main() -> None:
    arguments = parser().parse_args()
    chosen = [one for one in TABLE if not arguments.only or one.name in {*arguments.only, BARE}]
    for folder in (MODELS, FUNCTIONS):
        folder.mkdir(parents=True, exist_ok=True)
    load = [os.getloadavg()[0]]
    subprocess.run([sys.executable, "-m", "tests.benchmarks.cold.models"], cwd=ROOT, check=True)
    with bucket_process() as bucket:
        published = publish("tests.benchmarks.cold.publishing", bucket, [one.published for one in chosen])
        launches, missing = prepare(chosen, bucket, published)
        rounds = Rounds(launches, bucket)
        run(rounds, 1 if arguments.quick else arguments.runs, quick=arguments.quick)
        measured = missing | rounds.measured
        rows = {one.name: Row.of(one.name, measured[one.name], published.get(one.published, {})) for one in chosen}
        lanes = [lane for lane in LANES if lane in rows and not rows[lane].reason]
        limits = attempted(lanes, lambda lane: limit(rows, lane, rounds, bucket, quick=arguments.quick))
        runtime = attempted(lanes, lambda lane: weigh(launches[lane]))
        stampedes = attempted(lanes, lambda lane: stampede(launches[lane], bucket))
    load.append(os.getloadavg()[0])
    tell(rows, limits, runtime, stampedes, measured, load)


def parser() -> argparse.ArgumentParser:
    names = [contender.name for contender in TABLE]
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold", description=__doc__)
    made.add_argument("--runs", type=int, default=RUNS, help=f"counted rounds (default {RUNS})")
    made.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--quick", action="store_true", help="one round, nothing warmed up: to see that it works")
    return made


def prepare(
    chosen: Iterable[Contender], bucket: BucketProcess, published: dict[str | None, dict[str, Any]]
) -> tuple[dict[str, Launch], dict[str, Measured]]:
    """How each contender is started, and those that cannot be, with the reason."""
    examples = {name: record["example"] for name, record in published.items() if name and "example" in record}
    launches: dict[str, Launch] = {}
    missing: dict[str, Measured] = {}
    for contender in chosen:
        reason = published.get(contender.published, {}).get("reason")
        try:
            if reason:
                raise RuntimeError(reason)
            launches[contender.name] = contenders.launch(contender, bucket.environment(), examples)
        except RuntimeError as exc:
            missing[contender.name] = Measured(reason=str(exc))
    return launches, missing


def run(rounds: Rounds, runs: int, *, quick: bool) -> None:
    if not quick:
        progress("warming up")
        rounds.warm_up()
    for number in range(runs):
        progress(f"times, round {number + 1} of {runs}")
        rounds.times()
    for number in range(1 if quick else MEMORY_RUNS):
        progress(f"memory, round {number + 1}")
        rounds.memory()


def attempted(lanes: Iterable[str], measure: Callable[[str], T]) -> dict[str, T]:
    """By lane; one that fails is told and left out, so that the rounds before it are not lost."""
    measured: dict[str, T] = {}
    for lane in lanes:
        try:
            measured[lane] = measure(lane)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as exc:
            progress(f"{lane}: not measured: {exc}")
    return measured


def limit(rows: dict[str, Row], lane: str, rounds: Rounds, bucket: BucketProcess, *, quick: bool) -> Constants:
    row, boot = rows[lane], rows[BARE].seconds or 0.0
    objects = {read.name: read.size for read in rounds.measured[lane].reads}
    python = programs("token_classification") / "python"
    return constants(python, row.engine or "torch", bucket.url, objects, boot, row.phases, 1 if quick else 3)


def weigh(launch: Launch) -> float:
    """Both lanes are the classifier's."""
    return runtime_megabytes(launch, stage_once("token_classification"))


def tell(
    rows: dict[str, Row],
    limits: dict[str, Constants],
    runtime: dict[str, float],
    stampedes: dict[str, Stampede],
    measured: dict[str, Measured],
    load: list[float],
) -> None:
    cores = len(os.sched_getaffinity(0))
    listed = list(rows.values())
    held = targets(report.findings(rows, runtime, limits, stampedes, cores))
    print(report.contenders_table(listed), end="\n\n")
    print(report.phases_table(listed), end="\n\n")
    print(report.limits_table(limits, rows, cores), end="\n\n")
    for lane, megabytes in runtime.items():
        print(f"{lane}: {megabytes:.0f} MB with all imported and no model")
    for lane, counts in stampedes.items():
        print(
            f"{lane}: 100 first requests at once: {counts.downloads:.2f} downloads, {counts.loads} loads, "
            f"{counts.answered} × 200"
        )
    print("\n" + targets_table(held))
    print(f"\n{cores} cores, load average {load[0]:.1f} before and {load[1]:.1f} after; page cache warm")
    more = {
        "cores": cores,
        "load_average": load,
        "runtime_megabytes": runtime,
        "limits": {lane: asdict(known) for lane, known in limits.items()},
        "stampedes": {lane: asdict(counts) for lane, counts in stampedes.items()},
        "runs": {name: asdict(one) for name, one in measured.items()},
    }
    BENCH.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report.document(listed, held, **more), indent=2, ensure_ascii=False) + "\n")
    PLOT.write_text(bars.svg("From process start to the first answer", report.bars(listed)))
    print(f"all runs in {shown(REPORT)}, the plot in {shown(PLOT)}")


if __name__ == "__main__":
    main()
