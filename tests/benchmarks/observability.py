"""What logs, metrics and traces cost: ``python -m tests.benchmarks.observability``.

A model that answers its input, through functions-framework by both edges, asked the same each time, with the
``traceparent`` that Google Cloud sends. Without any of it: no log line, nothing counted; with what is on by default: a
line for each request into a pipe that is read, and metrics; and, where no bar is set, with spans exported besides. The
load is wrk's, in turns of all of them; each turn is compared with its own one without, by its requests a second and by
what the server used of the processor for each.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.project import BUILD, ROOT
from deploy.stage import stage
from tests.benchmarks.figures import table
from tests.benchmarks.warm.processes import tree_cpu_seconds
from tests.fakes.collector import FakeCollector
from tests.running import EDGES, call, clean_environment, free_port

FOLDER = BUILD / "bench" / "observability"
NOOP = Path(__file__).parent / "warm" / "functions" / "noop"
CONNECTIONS, TURNS, SECONDS = 8, 12, 1
BODY = '{"model_name": "noop", "data": "' + "x" * 100 + '"}'
HEADERS = {
    "Content-Type": "application/json",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}

#: The part of its throughput that what is on by default may cost.
BOUND = 0.02

#: What stands behind the function's own lines, for the one without any of it.
WITHOUT = """
from model_functions.http.observed import Observer

Observer.ended = lambda *_: None
"""


class Contender(NamedTuple):
    name: str
    edge: str
    url: str
    pid: int


class Measured(NamedTuple):
    """Requests a second, and microseconds of the processor for each."""

    rate: float
    cpu_us: float


def main() -> int:
    if shutil.which("wrk") is None:
        sys.exit("The load comes from wrk, which is not installed. apt-get install wrk")
    publish()
    edges = sys.argv[1:] or list(EDGES)
    rows, met = list[list[str]](), True
    for edge in edges:
        with running(edge) as contenders:
            found: dict[str, list[Measured]] = {one.name: [] for one in contenders}
            for turn in range(TURNS):
                # In either order: whoever comes first finds the machine as the one before left it.
                for one in contenders if turn % 2 else contenders[::-1]:
                    found[one.name].append(load(one))
        for name, turns in found.items():
            pairs = list(zip(turns, found["without"], strict=True))
            cost = 1 - statistics.median(one.rate / without.rate for one, without in pairs)
            cpu = statistics.median(one.cpu_us / without.cpu_us for one, without in pairs) - 1
            met = met and (name != "by default" or cost <= BOUND)
            rate, cpu_us = (statistics.median(getattr(one, what) for one in turns) for what in ("rate", "cpu_us"))
            rows.append([edge, name, f"{rate:,.0f}", f"{cost:.1%}", f"{cpu_us:.1f}", f"{cpu:.1%}"])
    print(table(["edge", "", "requests/s", "cost", "CPU us", "cost"], rows))
    print(f"at most {BOUND:.0%} by default: " + ("met" if met else "MISSED"))
    return 0 if met else 1


def publish() -> None:
    environment = clean_environment(MODEL_STORE=str(FOLDER / "store"))
    command = [sys.executable, "-m", "deploy", "publish", str(NOOP), "--name", "noop", "--example", "one", "--trust"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


@contextmanager
def running(edge: str) -> Iterator[list[Contender]]:
    """All at once: who is not asked takes no time."""
    folder = stage("tabular", build=FOLDER)
    (folder / "without.py").write_text((folder / "main.py").read_text() + WITHOUT)
    common = {"MODEL_STORE": str(FOLDER / "store"), "THREADS": str(CONNECTIONS)} | EDGES[edge]
    with ExitStack() as stack:
        collector = stack.enter_context(FakeCollector(keeps=False))
        exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        made = {
            "without": (folder / "without.py", common),
            "by default": (folder / "main.py", common),
            "spans too": (folder / "main.py", common | exporting),
        }
        yield [
            Contender(name, edge, *stack.enter_context(served(source, environment)))
            for name, (source, environment) in made.items()
        ]


@contextmanager
def served(source: Path, environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Its address and its process; what it writes goes through a pipe, as on Google Cloud, and nobody looks at it."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).parent / "functions-framework"), "--target", "predict", "--source", str(source)),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader,
        subprocess.Popen(
            command, cwd=source.parent, env=clean_environment(**environment), stdout=reader.stdin, stderr=reader.stdin
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            until_it_answers(url, process)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait()
            assert reader.stdin is not None
            reader.stdin.close()


def until_it_answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            answer = call(f"{url}/predict", BODY.encode(), **{"Content-Type": "application/json"})
            assert answer.status == 200, answer.body
            return
        except OSError:
            continue
    raise AssertionError(f"the function at {url} ended")


def load(contender: Contender) -> Measured:
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in HEADERS.items()]
    script = FOLDER / "post.lua"
    script.write_text("\n".join(['wrk.method = "POST"', *lines, f"wrk.body = '{BODY}'", ""]))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), f"{contender.url}/predict"]
    before = tree_cpu_seconds(contender.pid)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = tree_cpu_seconds(contender.pid) - before
    assert "Non-2xx" not in said, said
    count = int(said.partition(" requests in")[0].split()[-1])
    return Measured(float(said.partition("Requests/sec:")[2].split()[0]), used / count * 1e6)


if __name__ == "__main__":
    sys.exit(main())
