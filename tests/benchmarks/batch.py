"""``python -m tests.benchmarks.batch``: rows a second of batch jobs, beside a loaded function over the same model.

Both read the same rows of the same revision on the same cores, one after the other, in pairs. The function is asked
by its benchmark's own load, one row a request; the job's rate is taken while all its workers write, and its start is
told beside it. ``--long`` predicts a million rows of a table, and looks at how the memory grows with them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.batch import beam, planning, worker
from deploy.batch.files import files_at
from deploy.batch.job import Job
from deploy.batch.pinned import PinnedModel
from deploy.project import ROOT
from model_functions.artifact.signing import Trust
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.benchmarks.bucket_process import BucketProcess, bucket_process, publish
from tests.benchmarks.figures import shown, table
from tests.benchmarks.launch import Launch, started
from tests.benchmarks.memory import tree, tree_megabytes
from tests.benchmarks.places import BENCH, FUNCTIONS, LOGS, MODELS, TRUST
from tests.benchmarks.progress import progress
from tests.benchmarks.targets import Target, targets_table
from tests.benchmarks.warm import contenders, items, texts
from tests.benchmarks.warm.contenders import TABLE, Contender
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.measuring import Target as Server
from tests.benchmarks.warm.measuring import closed

REPORT = BENCH / "batch.json"
WORKERS, PAIRS, SECONDS = 2, 3, 8.0
#: Clients of the function, of which the better rate counts.
CLIENTS = (16, 64)
#: For each model its items, the rows of a job and of a part: a job of some ten seconds, in parts enough for two.
JOBS = {
    "classifier_fp32": (texts.MIXED, 384, 24),
    "classifier_auto": (texts.MIXED, 384, 24),
    "wine": ("wine", 200_000, 1000),
}
LONG, SHORT = 1_000_000, 100_000
SAMPLE_S = 0.2
#: Beam itself takes half as much: of smaller weights nobody could tell how often they are there.
_SHOWS_MB = 300


@dataclass(frozen=True)
class Ran:
    """A job's figures.

    Args:
        rate: rows a second from the first part that a worker finished to the last.
        starting: seconds until then.
        workers: the most megabytes of each worker process.
        main: of the process that runs the job.
    """

    rate: float
    starting: float
    seconds: float
    workers: list[float]
    main: float


def main() -> None:
    arguments = _arguments()
    for folder in (MODELS, FUNCTIONS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    worker.be_quiet()
    subprocess.run([sys.executable, "-m", "tests.benchmarks.warm.models"], cwd=ROOT, check=True)
    asked = items.read()
    with bucket_process() as bucket:
        published = publish("tests.benchmarks.warm.publishing", bucket, arguments.models)
        os.environ.update(bucket.environment())
        launches = {name: _launch(name, bucket, asked) for name in arguments.models}
        # Not before: what functions run on is installed without it.
        beam.enter()
        pairs = {name: _pairs(name, arguments, *launches[name], asked) for name in arguments.models}
        long = _long(asked["wine"]) if arguments.long and "wine" in arguments.models else {}
    _tell(pairs, long, published)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.batch", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=JOBS, default=["classifier_auto", "wine"], metavar="MODEL")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that the function is asked")
    parser.add_argument("--share", type=float, default=1.0, help="of the rows, for a quick look")
    parser.add_argument("--long", action="store_true", help="a million rows too")
    return parser.parse_args()


def _launch(name: str, bucket: BucketProcess, asked: Mapping[str, Sequence[Item]]) -> tuple[Contender, Launch]:
    contender = next(one for one in TABLE if one.published == name and not one.is_extra)
    return contender, contenders.launch(contender, bucket.environment(), asked[JOBS[name][0]][0])


def _pairs(
    name: str, arguments: argparse.Namespace, contender: Contender, launch: Launch, asked: Mapping[str, Sequence[Item]]
) -> list[tuple[float, float, Ran]]:
    """The function's rate and megabytes, and the job's figures."""
    kind, count, part = JOBS[name]
    found = []
    for number in range(arguments.pairs):
        rate, megabytes = _served(contender, launch, asked[kind], arguments.seconds)
        ran = _ran(name, asked[kind], int(count * arguments.share), part)
        progress(
            f"{name} {number + 1}: function {rate:.1f}/s with {megabytes:.0f} MB; job {ran.rate:.1f}/s after "
            f"{ran.starting:.1f} s, workers {', '.join(f'{one:.0f}' for one in ran.workers)} MB"
        )
        found.append((rate, megabytes, ran))
    return found


def _served(contender: Contender, launch: Launch, asked: Sequence[Item], seconds: float) -> tuple[float, float]:
    with started(launch, LOGS / f"batch-{contender.published}.log") as server:
        server.first_answer()
        target = Server(server.port, server.pid, contender.protocol, contender.precision)
        closed(target, asked, 4, 1.0)
        runs = [closed(target, asked, clients, seconds / len(CLIENTS)) for clients in CLIENTS]
    return max(run.rate for run in runs), max(run.megabytes for run in runs)


def _ran(name: str, asked: Sequence[Item], count: int, rows: int) -> Ran:
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        source = Path(folder) / "rows.jsonl"
        lines = [json.dumps({"data": item.data}) + "\n" for item in asked]
        with open(source, "w") as file:
            file.writelines(lines[number % len(lines)] for number in range(count))
        return _job(name, source, str(Path(folder) / "out"), rows)


def _job(name: str, source: Path, output: str, rows: int) -> Ran:
    # Imported here: Beam is not found before.
    from deploy.batch import local

    repository = Repository(open_store(os.environ["MODEL_STORE"]), Trust.read(TRUST))
    model = PinnedModel.at(repository, name)
    files = files_at(output)
    found = planning.found_inputs(str(source), output)
    form = planning.form_of_inputs(found)
    job = planning.with_inputs(Job(model, "prod", str(source), form, output, rows=rows), found)
    planning.begin(files, job, found)
    began = time.time()
    with _watched() as peaks:
        told = local.run(files, job, "DirectRunner", WORKERS)
    if told.counts.failed:
        raise RuntimeError(f"{told.counts.failed} rows failed: {told.counts.examples}")
    written = sorted((path.stat().st_mtime, path.stem) for path in Path(job.journal).iterdir())
    counts = {f"{number:06d}": entry.all_rows for number, entry in planning.done(files, job).items()}
    first, last = written[WORKERS - 1][0], written[-1][0]
    steady = sum(counts[stem] for _, stem in written[WORKERS:])
    mine = peaks.pop(os.getpid())
    return Ran(steady / (last - first), first - began, told.seconds, sorted(peaks.values())[-WORKERS:], mine)


@contextmanager
def _watched() -> Iterator[dict[int, float]]:
    """The most megabytes of this process, and of each below it that is a worker."""
    peaks: dict[int, float] = {os.getpid(): 0.0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_S):
            for pid in tree(os.getpid()):
                if pid == os.getpid() or b"deploy.batch.worker" in _command(pid):
                    own = tree_megabytes(pid) - (_below(pid) if pid == os.getpid() else 0.0)
                    peaks[pid] = max(peaks.get(pid, 0.0), own)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _below(pid: int) -> float:
    children = [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return sum(tree_megabytes(int(child)) for child in children)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _long(asked: Sequence[Item]) -> dict[int, Ran]:
    """By the number of rows."""
    found = {}
    for count in (SHORT, LONG):
        found[count] = _ran("wine", asked, count, 1000)
        ran = found[count]
        progress(f"{count:,} rows in {ran.seconds:.0f} s: {ran.rate:.0f}/s, {ran.main:.0f} MB, {ran.workers} MB")
    return found


def _tell(
    pairs: Mapping[str, list[tuple[float, float, Ran]]],
    long: Mapping[int, Ran],
    published: Mapping[str | None, Mapping[str, Any]],
) -> None:
    rows, held = [], []
    for name, found in pairs.items():
        share = statistics.median(ran.rate / rate for rate, _, ran in found)
        function, job = (
            statistics.median(rates) for rates in zip(*((one[0], one[2].rate) for one in found), strict=True)
        )
        weights = published[name]["stored"] / 2**20
        most = max(one for _, _, ran in found for one in ran.workers)
        served = max(megabytes for _, megabytes, _ in found)
        starting = statistics.median(ran.starting for _, _, ran in found)
        rows.append(
            (name, *(shown(one, digits=1) for one in (function, job, share * 100, starting, weights, served, most)))
        )
        held.append(Target(f"{name}: rows/s of a job with {WORKERS} workers ÷ function's", share, 0.9, at_least=True))
        if weights >= _SHOWS_MB:
            # A second copy of the weights would show: the rest is Beam, which a function is without.
            held.append(Target(f"{name}: MB of a worker − function's, ÷ weights", (most - served) / weights, 0.9))
    if long:
        grown = (long[LONG].main + sum(long[LONG].workers)) / (long[SHORT].main + sum(long[SHORT].workers))
        held.append(Target(f"MB for {LONG:,} rows ÷ MB for {SHORT:,}", grown, 1.25))
    head = ("", "function/s", "job/s", "%", "start s", "stored MB", "function MB", "worker MB")
    print(table(head, rows))
    for count, ran in long.items():
        print(f"{count:,} rows: {ran.seconds:.0f} s, {ran.rate:,.0f}/s, main {ran.main:.0f} MB, workers {ran.workers}")
    print("\n" + targets_table(held))
    document = {
        "pairs": {
            name: [[rate, megabytes, vars(ran)] for rate, megabytes, ran in found] for name, found in pairs.items()
        },
        "long": {count: vars(ran) for count, ran in long.items()},
        "targets": [[*target.row()] for target in held],
        "load_average": os.getloadavg()[0],
    }
    REPORT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"all figures in {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
