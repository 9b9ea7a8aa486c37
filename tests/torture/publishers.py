"""Publishers in processes of their own that race, and that are killed at each request that they make."""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from deploy import publisher
from deploy.__main__ import VERBS, main
from deploy.proving import proof
from model_functions.families.tabular import TabularWrapper
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.fakes.bucket import Call, FakeBucket
from tests.torture.part import Bar
from tests.torture.place import Place

#: Races of two, and how often a publisher is killed at each request.
LENGTHS = {"ci": 4, "short": 8, "full": 100}
_KILLS = {"ci": 0.2, "short": 0.5, "full": 5}

STORE = "gs://races"
NAME = "raced"
ALIAS = f"tabular/{NAME}/aliases/prod.json"
ROW = [0.5, 1.0, 2.0]
_PATIENCE_S = 60


class Ended(NamedTuple):
    """A publisher's exit status, negative where a signal was its end, and what it said."""

    status: int
    said: str


class Races:
    """Publishers on a bucket of their own.

    Args:
        folder: of the models that they publish.
    """

    def __init__(self, bucket: FakeBucket, folder: Path) -> None:
        self.bucket, self.folder = bucket, folder
        folder.mkdir()
        # A process that has imported what a publisher needs, and from which each is forked.
        self._context = multiprocessing.get_context("forkserver")
        verbs = [f"deploy.{verb}" for verb in VERBS]
        self._context.set_forkserver_preload([__name__, "model_functions.store.upload", *verbs])
        self.repository = Repository(open_store(STORE), publisher.open_repository().trust)

    def start(self, number: int, together: Any = None) -> BaseProcess:
        """Publishes the model of that number.

        Args:
            together: a barrier that is waited at before.
        """
        path = self.folder / f"{number}.joblib"
        if not path.exists():
            rows = np.random.default_rng(number).normal(size=(40, 3))
            joblib.dump(LogisticRegression().fit(rows, rows.sum(axis=1) > 0), path)
        process = self._context.Process(target=_publish, args=(str(path), self.bucket.url, together))
        process.start()
        return process

    def start_together(self, numbers: Sequence[int]) -> list[BaseProcess]:
        """So that none waits for another longer than its patience with a bucket is, however busy the machine."""
        # Kept: a process that starts late must find it.
        self._together = self._context.Barrier(len(numbers))
        return [self.start(number, self._together) for number in numbers]

    def ended(self, process: BaseProcess, number: int) -> Ended:
        process.join(_PATIENCE_S)
        assert process.exitcode is not None, "a publisher hangs"
        said = self.folder / f"{number}.said"
        return Ended(process.exitcode, said.read_text() if said.exists() else "")

    def publish(self, number: int) -> Ended:
        return self.ended(self.start(number), number)

    def served(self) -> str:
        """The revision that the alias names: it loads, and answers."""
        loader = ModelLoader(self.repository, TabularWrapper, "prod")
        manifest = loader.resolve(NAME, Phases())
        assert loader.load(manifest, Phases()).predict(ROW)
        return manifest.revision

    def state(self) -> dict[str, int]:
        """The generation of every object."""
        return {name: version.generation for name, version in self.bucket.buckets["races"].live.items()}

    def orphans(self) -> int:
        """Revisions of which a part is there."""
        begun = {name.split("/")[3] for name in self.state() if name.startswith(f"tabular/{NAME}/revisions/")}
        return len(begun - set(self.repository.revisions("tabular", NAME)))


def _publish(path: str, bucket: str, together: Any) -> None:
    """The verb, in a process whose end is its own."""
    if together is not None:
        together.wait(_PATIENCE_S)
    os.environ |= {"STORAGE_EMULATOR_HOST": bucket, "MODEL_STORE": STORE}
    # Another process for each, which imports everything anew, is the proof's own test.
    proof._in_a_fresh_process = proof.examine_here
    # Its own would be shared among processes, which nobody cleans up behind a publisher that is killed.
    tqdm.set_lock(threading.RLock())
    with open(Path(path).with_suffix(".said"), "w") as sys.stdout:
        sys.stderr = sys.stdout
        arguments = ["publish", path, "--family", "tabular", "--name", NAME, "--example", json.dumps(ROW), "--trust"]
        status = main(arguments)
    os._exit(status)


class _Together:
    """Lets the first looks at the alias through once so many have come."""

    def __init__(self, count: int) -> None:
        self._barrier, self._left, self._lock = threading.Barrier(count), count, threading.Lock()

    def __call__(self, call: Call) -> None:
        with self._lock:
            waits = call.operation == "read" and call.object == ALIAS and self._left > 0
            self._left -= waits
        if waits:
            self._barrier.wait(_PATIENCE_S)


class _Killing:
    """Kills a publisher when it makes its request of that number, which is done all the same."""

    def __init__(self, number: int) -> None:
        self._left, self._lock = number, threading.Lock()
        self._started = threading.Event()
        self._process: BaseProcess | None = None

    def victim(self, process: BaseProcess) -> None:
        self._process = process
        self._started.set()

    def __call__(self, call: Call) -> None:
        with self._lock:
            self._left -= 1
            is_now = self._left == -1
        if is_now and self._started.wait(_PATIENCE_S) and self._process and self._process.pid:
            os.kill(self._process.pid, signal.SIGKILL)


def run(length: str, place: Place) -> Sequence[Bar]:
    with FakeBucket("races") as bucket:
        before = os.environ.get("STORAGE_EMULATOR_HOST")
        os.environ["STORAGE_EMULATOR_HOST"] = bucket.url
        try:
            races = Races(bucket, place.folder / "publishers")
            bars = [*_races(races, int(LENGTHS[length])), *_again(races), *_deaths(races, _KILLS[length])]
        finally:
            if before is not None:
                os.environ["STORAGE_EMULATOR_HOST"] = before
        for said in sorted(races.folder.glob("*.said")):
            place.keep(f"publisher-{said.stem}", said.read_text())
    return bars


def _races(races: Races, count: int) -> Sequence[Bar]:
    assert races.publish(0).status == 0
    single = kept = 0
    other: list[str] = []
    for race in range(count):
        serial = races.repository.resolve("tabular", NAME, "prod").serial
        races.bucket.on_call = _Together(2)
        numbers = 2 * race + 1, 2 * race + 2
        processes = races.start_together(numbers)
        ends = sorted(map(races.ended, processes, numbers))
        races.bucket.on_call = lambda _: None
        single += [end.status for end in ends] == [0, 1]
        if not ends[-1].said.startswith("conflict: "):
            other.append(f"race {race}: {ends[-1].said[:200]}")
        pointer = races.repository.resolve("tabular", NAME, "prod")
        kept += pointer.serial == serial + 1 and f"as revision {races.served()}" in ends[0].said
    return [
        Bar(f"{count} races of two publishers: one wins", f"{count}", f"{single}", single == count),
        Bar(
            "the other ends with status 1 and says conflict",
            f"{count}",
            "; ".join([f"{count - len(other)}", *other]),
            not other,
        ),
        Bar("the alias has moved once, to the winner's, which loads", f"{count}", f"{kept}", kept == count),
    ]


def _again(races: Races) -> Sequence[Bar]:
    assert races.publish(1000).status == 0
    before = races.state()
    status = races.publish(1000).status
    changed = races.state() != before
    met = status == 0 and not changed
    return [Bar("the same publish again", "status 0, nothing written", f"status {status}, changed: {changed}", met)]


def _deaths(races: Races, repeated: float) -> Sequence[Bar]:
    calls = len(races.bucket.calls)
    assert races.publish(1001).status == 0
    steps = len(races.bucket.calls) - calls
    stride = round(1 / min(repeated, 1))
    victims = [step for _ in range(max(1, round(repeated))) for step in range(0, steps, stride)]
    killed = loaded = recovered = most = 0
    for number, step in enumerate(victims, start=1002):
        before = races.served()
        races.bucket.on_call = killing = _Killing(step)
        process = races.start(number)
        killing.victim(process)
        killed += races.ended(process, number).status == -signal.SIGKILL
        races.bucket.on_call = lambda _: None
        _settled(races.bucket)
        most = max(most, races.orphans())
        loaded += races.served() == before or step >= steps - 2
        recovered += races.publish(number).status == 0 and races.orphans() == 0
    count = len(victims)
    return [
        Bar(f"publishers killed at each of {steps} requests", f"{count}", f"{killed}", killed == count),
        Bar("what was served before loads and is still served", f"{count}", f"{loaded}", loaded == count),
        Bar("revisions that are left in part", "≤ 1", f"{most}", most <= 1),
        Bar("the next publish succeeds, and nothing is left in part", f"{count}", f"{recovered}", recovered == count),
    ]


def _settled(bucket: FakeBucket) -> None:
    """Waits until the bucket has done what it was asked last."""
    _until(lambda: all(call.status for call in bucket.calls[-2:]))


def _until(holds: Callable[[], Any]) -> None:
    for _ in range(100):
        if holds():
            return
        threading.Event().wait(0.01)
