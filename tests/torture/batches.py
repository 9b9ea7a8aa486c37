"""Batch jobs, and their workers, killed at random moments: afterwards each row is in the output once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from deploy import publisher
from deploy.project import ROOT
from deploy.publish import publish
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests.benchmarks.memory import tree
from tests.running import clean_environment
from tests.torture.part import Bar
from tests.torture.place import Place

#: How often something is killed.
LENGTHS = {"ci": 2, "short": 4, "full": 20}

ROWS, ROWS_OF_A_PART, BAD_EVERY = 60_000, 200, 97
#: How many are killed at any time, up to so many seconds; the others after so many parts at most.
_AT_ANY_TIME, _LATEST_S, _MOST_PARTS = 0.25, 10.0, 60
_PATIENCE_S = 300


class Jobs:
    """One job after the other over the same rows, each with an output of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.rows = folder / "rows.csv"
        lines = (f"{number},x,0.5" if number % BAD_EVERY == 0 else f"{number},0.1,0.5" for number in range(ROWS))
        self.rows.write_text("id,a,b\n" + "\n".join(lines) + "\n")
        store = FolderStore(folder / "store")
        features = np.random.default_rng(0).normal(size=(40, 2))
        wrapper = TabularWrapper.from_estimator(
            LogisticRegression().fit(features, features.sum(axis=1) > 0), [0.1, 0.5], columns=["a", "b"]
        )
        repository = Repository(store, publisher.open_repository().trust)
        publish(wrapper, name="batched", examples=[[0.1, 0.5]], repository=repository, key=publisher.signing_key())
        self.environment = clean_environment(MODEL_STORE=str(folder / "store"), OMP_NUM_THREADS="1")
        self.number = 0

    @property
    def output(self) -> Path:
        return self.folder / f"out-{self.number}"

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "deploy", "batch", "batched", "--input", str(self.rows)]
        options = ["--output", str(self.output), "--workers", "2", "--rows", str(ROWS_OF_A_PART)]
        return subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def finish(self) -> str:
        """What is wrong with the output of the job, once it has been run to its end; empty where nothing is."""
        process = self.start()
        said, _ = process.communicate(timeout=_PATIENCE_S)
        if process.returncode:
            return f"it ended with {process.returncode}: {said[-300:]}"
        good, bad = Counter(self._keys("part-*.jsonl")), Counter(self._keys("dead-letters/part-*.jsonl"))
        wanted = {f"{self.rows}:{number + 1}": number % BAD_EVERY == 0 for number in range(ROWS)}
        wrong = [key for key, is_bad in wanted.items() if (good[key], bad[key]) != (not is_bad, is_bad)]
        wrong += sorted((good | bad).keys() - wanted.keys())
        left = [path.name for path in self.output.rglob(".writing-*")]
        return f"{len(wrong)} rows are not there once, as {wrong[0]}" if wrong else f"left: {left[0]}" if left else ""

    def done(self) -> int:
        """Parts of the job."""
        return len(list(self.output.glob("_job/done/*")))

    def _keys(self, pattern: str) -> Iterator[str]:
        for path in self.output.glob(pattern):
            yield from (json.loads(line)["key"] for line in path.read_text().splitlines())


def _wait(jobs: Jobs, process: subprocess.Popen[str], draw: random.Random) -> None:
    """Until some moment: at any time, or while rows are written, which begins later the busier the machine is."""
    if draw.random() < _AT_ANY_TIME:
        time.sleep(draw.uniform(0, _LATEST_S))
        return
    until = jobs.done() + draw.randint(1, _MOST_PARTS)
    while jobs.done() < until and process.poll() is None:
        time.sleep(draw.uniform(0, 0.05))


def run(length: str, place: Place) -> Sequence[Bar]:
    draw = random.Random(length)
    jobs = Jobs(place.folder / "batches")
    count, killed, within, wrong = int(LENGTHS[length]), 0, 0, list[str]()
    while killed < count:
        process = jobs.start()
        _wait(jobs, process, draw)
        done = jobs.done()
        whom = draw.choice([pid for pid in tree(process.pid) if pid != process.pid] or [process.pid])
        victim = draw.choice([process.pid, whom])
        if process.poll() is None:
            os.kill(victim, signal.SIGKILL)
            killed += 1
            within += 0 < done < ROWS / ROWS_OF_A_PART
        process.communicate(timeout=_PATIENCE_S)
        if (jobs.output / "_job" / "summary.json").exists() or killed == count:
            wrong += filter(None, [jobs.finish()])
            jobs.number += 1
    return [
        Bar("jobs or their workers killed", f"{count}", f"{killed}", killed == count),
        Bar("of them among their rows", "≥ 1", f"{within}", within >= 1),
        Bar("each row once, in the output or in the dead letters", "0 wrong", "; ".join(wrong) or "0 wrong", not wrong),
    ]
