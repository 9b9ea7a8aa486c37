"""From a cold start to the first answer, and warm: each sample model's function, as the platform starts it.

Every run is a new functions-framework process over the staged folder; the clock starts before its exec.
"""

import json
import socket
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.project import BUILD
from deploy.publisher import open_repository
from deploy.stage import stage
from model_functions.repository import listing
from tests.running import call, function

RUNS = 5
WARM_CALLS = 50
REPORT = BUILD / "bench" / "first_answer.json"


@dataclass(frozen=True)
class Figures:
    """Medians over the runs.

    Args:
        answering_s: from exec until the port answers.
        first_answer_s: from exec until the first prediction has arrived.
        warm_ms: one later prediction, HTTP included.
        memory_mb: proportional set size of the process tree after the first answer.
    """

    model: str
    answering_s: float
    first_answer_s: float
    warm_ms: float
    memory_mb: float


def main() -> None:
    models = [
        (manifest.family, manifest.name, manifest.examples[0]) for _, manifest in listing(open_repository(), "prod")
    ]
    if not models:
        raise SystemExit("No model is published. Run: make run (or python -m deploy train)")
    print(f"{'model':28} {'answering':>10} {'first answer':>13} {'warm':>9} {'memory':>9}")
    rows = []
    for family, name, example in models:
        row = measure(family, name, json.dumps({"model_name": name, "data": example}).encode())
        print(
            f"{row.model:28} {row.answering_s:8.2f} s {row.first_answer_s:11.2f} s "
            f"{row.warm_ms:6.1f} ms {row.memory_mb:6.0f} MB",
            flush=True,
        )
        rows.append(asdict(row))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"medians of {RUNS} runs, also in {REPORT.relative_to(BUILD.parent)}")


def measure(family: str, name: str, body: bytes) -> Figures:
    folder = stage(family)
    answering: list[float] = []
    first: list[float] = []
    warm: list[float] = []
    memory: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        with function(folder, free_port()) as (url, process):
            answering.append(time.perf_counter() - started)
            answer = call(f"{url}/predict", body)
            first.append(time.perf_counter() - started)
            if answer.status != 200:
                raise SystemExit(f"{name}: {answer.body.decode()}")
            memory.append(tree_memory_mb(process.process.pid))
            warm.extend(timed(url, body) for _ in range(WARM_CALLS))
    median = statistics.median
    return Figures(name, median(answering), median(first), median(warm) * 1000, median(memory))


def timed(url: str, body: bytes) -> float:
    started = time.perf_counter()
    call(f"{url}/predict", body)
    return time.perf_counter() - started


def tree_memory_mb(pid: int) -> float:
    """Memory of the process and its children; what they share is counted once."""
    pids, found = [pid], 0
    while pids:
        current = pids.pop()
        lines = Path(f"/proc/{current}/smaps_rollup").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        pids += [int(child) for child in Path(f"/proc/{current}/task/{current}/children").read_text().split()]
    return found / 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
