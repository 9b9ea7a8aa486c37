"""The rounds: contender 1 to n, then again; times and memory in separate runs, so that neither disturbs the other."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.bucket_process import BucketProcess, Read
from tests.benchmarks.cold import server_timing
from tests.benchmarks.launch import Launch, last_lines, started
from tests.benchmarks.memory import watched
from tests.benchmarks.places import LOGS


@dataclass
class Measured:
    """All runs of one contender."""

    seconds: list[float] = field(default_factory=list)
    accepting: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    phases: list[dict[str, float]] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    answer: str = ""
    log: str = ""
    reason: str = ""
    """Why it could not be measured; empty when it was."""


class Rounds:
    """All contenders in turn.

    Args:
        launches: by the contenders' names, in the order of their turns.
    """

    def __init__(self, launches: Mapping[str, Launch], bucket: BucketProcess) -> None:
        self.launches = launches
        self.measured = {name: Measured() for name in launches}
        self._bucket = bucket

    def warm_up(self) -> None:
        """Fills the page cache for all alike; what comes of it is not counted."""
        self._each(self._answer_once)

    def times(self) -> None:
        self._each(self._time)

    def memory(self) -> None:
        self._each(self._memory)

    def _each(self, turn: Callable[[str, Launch, Measured], None]) -> None:
        for name, launch in self.launches.items():
            measured = self.measured[name]
            if measured.reason:
                continue
            try:
                turn(name, launch, measured)
            except RuntimeError as exc:
                measured.reason = str(exc)
                print(f"{name}: {exc}", flush=True)

    def _answer_once(self, name: str, launch: Launch, _: Measured) -> None:
        with started(launch, _log(name)) as contender:
            contender.first_answer()

    def _time(self, name: str, launch: Launch, measured: Measured) -> None:
        self._bucket.reads()
        with started(launch, _log(name)) as contender:
            answer = contender.first_answer()
        measured.seconds.append(answer.seconds)
        measured.accepting.append(answer.accepting)
        measured.refused.append(answer.refused)
        measured.phases.append(server_timing.parsed(answer.server_timing))
        measured.reads = self._bucket.reads()
        measured.answer = answer.body.decode(errors="replace")
        measured.log = last_lines(contender.log)

    def _memory(self, name: str, launch: Launch, measured: Measured) -> None:
        log = _log(name)
        with started(launch, log) as contender, watched(contender.pid) as peak:
            contender.first_answer()
        measured.megabytes.append(peak.megabytes)


def _log(name: str) -> Path:
    return LOGS / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.log"
