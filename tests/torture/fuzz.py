"""Every reader of foreign bytes under a coverage-guided fuzzer, in an environment of its own.

What is found is kept: a file in fuzzing/corpus/ is where the next run begins.
"""

import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.environments import made
from deploy.project import ROOT
from tests.torture.part import Bar
from tests.torture.place import Place

SOURCE = Path(__file__).parent / "fuzzing"

#: Seconds for each reader.
LENGTHS = {"ci": 3.0, "short": 8.0, "full": 300.0}

#: The four of the demand, and two more that read what strangers send.
NAMES = ("body", "manifest", "weights", "tensors", "form", "image")

#: Readers at a time.
PROCESSES = 2


@dataclass(frozen=True)
class Outcome:
    """What fuzzing a reader came to.

    Args:
        reason: why it ended early; "" if it did not.
    """

    name: str
    seconds: float
    inputs: int
    accepted: int
    longest_s: float
    reason: str


def run(length: str, place: Place) -> list[Bar]:
    try:
        python = made(SOURCE) / "bin" / "python"
    except ValueError as exc:
        return [Bar("the fuzzer", "installed", str(exc), met=False)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        outcomes = list(pool.map(lambda name: _fuzzed(python, name, LENGTHS[length], place), NAMES))
    return [_bar(outcome, LENGTHS[length]) for outcome in outcomes]


def _fuzzed(python: Path, name: str, seconds: float, place: Place) -> Outcome:
    folder = place.folder / "fuzz" / name
    shutil.copytree(SOURCE / "corpus" / name, folder / "corpus")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}", "OMP_NUM_THREADS": "1"}
    command = [str(python), "-m", "tests.torture.fuzzing", name, f"{seconds:.0f}", str(folder / "corpus")]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    took = time.monotonic() - began
    output = done.stdout + done.stderr
    place.keep(f"fuzz-{name}", output)
    try:
        told = json.loads((folder / "told.json").read_text())
    except (OSError, ValueError):
        told = {"accepted": 0, "refused": 0, "longest_s": 0.0}
    inputs = told["accepted"] + told["refused"]
    return Outcome(name, took, inputs, told["accepted"], told["longest_s"], _reason(done.returncode, output))


def _reason(status: int, output: str) -> str:
    if status == 0:
        return ""
    lines = output.splitlines()
    told = [line for line in lines if "Error" in line or "ERROR" in line or "Exception: " in line]
    return next(iter(told), next(iter(lines[-1:]), f"exit {status}"))[:160]


def _bar(outcome: Outcome, seconds: float) -> Bar:
    value = (
        f"{outcome.inputs:,} inputs, {outcome.accepted:,} of them good, in {outcome.seconds:.0f} s; "
        f"the longest {1000 * outcome.longest_s:.0f} ms"
    )
    met = not outcome.reason and outcome.inputs > 0 and outcome.seconds >= seconds
    found = f"{value}; {outcome.reason}" if outcome.reason else value
    return Bar(f"fuzzing: {outcome.name}", "0 crashes, 0 hangs of 1 s, 0 undeclared errors", found, met)
