"""What the stack itself costs a request: ``python -m tests.benchmarks.warm.overhead``.

A model that answers its input, and the wine model, through functions-framework by both edges; beside them a function
that echoes the same body. The load is wrk's, which takes next to nothing of the processor: eight connections that
stay open.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.project import BUILD, ROOT
from deploy.samples import wine_model
from deploy.stage import stage
from tests.running import call, clean_environment, free_port, function

FOLDER = BUILD / "bench" / "overhead"
FUNCTIONS = Path(__file__).parent / "functions"
CONNECTIONS, ROUNDS, SECONDS = 8, 3, 2
EDGES = ("flask", "asgi")

BODIES = {
    "noop": '{"model_name": "noop", "data": "' + "x" * 100 + '"}',
    "wine": f'{{"model_name": "wine_model", "data": {list(wine_model.EXAMPLES[3])}}}',
}


class Contender(NamedTuple):
    name: str
    edge: str
    body: str
    url: str


class Measured(NamedTuple):
    """One round's requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("The load comes from wrk, which is not installed. apt-get install wrk")
    publish()
    with running() as contenders:
        found: dict[Contender, list[Measured]] = {contender: [] for contender in contenders}
        for _ in range(ROUNDS):
            for contender in contenders:
                found[contender].append(load(contender))
    print(table(found))


def publish() -> None:
    """The two models, into a store of this benchmark."""
    environment = clean_environment(MODEL_STORE=str(FOLDER / "store"))
    noop = ["publish", str(FUNCTIONS / "noop"), "--name", "noop", "--example", "one", "--trust"]
    for arguments in (noop, ["train", "wine_model"]):
        subprocess.run([sys.executable, "-m", "deploy", *arguments], cwd=ROOT, env=environment, check=True)


@contextmanager
def running() -> Iterator[list[Contender]]:
    """Everybody at once: who is not asked takes no time."""
    folder = stage("tabular", build=FOLDER)
    with ExitStack() as stack:
        contenders = []
        for edge in EDGES:
            settings = {"FUNCTION_USE_ASGI": str(edge == "asgi").lower(), "THREADS": str(CONNECTIONS)}
            echo, _ = stack.enter_context(function(FUNCTIONS / f"echo_{edge}", free_port(), **settings))
            ours, _ = stack.enter_context(
                function(folder, free_port(), **settings, MODEL_STORE=str(FOLDER / "store"), LOG_LEVEL=LOG_LEVEL)
            )
            contenders.append(Contender("echo", edge, BODIES["noop"], echo))
            for model, body in BODIES.items():
                answer = call(f"{ours}/predict", body.encode())
                assert answer.status == 200, answer.body
                contenders.append(Contender(model, edge, body, ours))
        yield contenders


LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO")


def load(contender: Contender) -> Measured:
    script = FOLDER / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = \'{contender.body}\'\n'
    )
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script)]
    said = subprocess.run([*command, f"{contender.url}/predict"], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    return Measured(
        _found(said, r"Requests/sec:\s+(\S+)"), _found(said, r" 50%\s+(\S+)"), _found(said, r" 99%\s+(\S+)")
    )


def table(found: dict[Contender, list[Measured]]) -> str:
    """Medians of the rounds, and each as a part of its edge's echo."""
    rate = {who: statistics.median(one.rate for one in rounds) for who, rounds in found.items()}
    echo = {who.edge: rate[who] for who in found if who.name == "echo"}
    lines = [
        "| edge | function | requests/s | of the echo | p50 ms | p99 ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for who, rounds in found.items():
        p50, p99 = (statistics.median(getattr(one, name) for one in rounds) for name in ("p50", "p99"))
        lines.append(
            f"| {who.edge} | {who.name} | {rate[who]:,.0f} | {rate[who] / echo[who.edge]:.2f} | {p50:.2f} | {p99:.2f} |"
        )
    return "\n".join(lines)


def _found(said: str, pattern: str) -> float:
    """A number as wrk writes it, a duration in milliseconds."""
    found = re.search(pattern, said)
    assert found is not None, said
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", found[1]).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "us": 0.001, "ms": 1, "s": 1000}[unit]


if __name__ == "__main__":
    main()
