"""One run of a job at a time on this machine, and none of the workers that a killed one has left behind."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

from model_functions.errors import Conflict


class FenceClosed(RuntimeError):
    """Another run of the job has begun: this worker is one of an earlier one."""


class Fence:
    """Of one output.

    Workers write within ``passed``; the next run waits for those who do, and lets none of them in again.

    Args:
        run: which run a worker is of.
    """

    def __init__(self, output: str, run: str) -> None:
        self.output, self.run = output, run

    @classmethod
    @contextmanager
    def raised(cls, output: str) -> Iterator[Self]:
        """A new run. Raises Conflict while another one lasts."""
        with open(_path(output, "run"), "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"Another job writes to {output}. Wait for its end, or choose another --output."
                ) from None
            fence = cls(output, uuid4().hex)
            with open(_path(output, "writers"), "a+") as writers:
                fcntl.flock(writers, fcntl.LOCK_EX)
                writers.truncate(0)
                writers.write(fence.run)
            yield fence

    @contextmanager
    def passed(self) -> Iterator[None]:
        """For what must not be written once another run has begun. Raises FenceClosed."""
        with open(_path(self.output, "writers")) as writers:
            fcntl.flock(writers, fcntl.LOCK_SH)
            if writers.read() != self.run:
                raise FenceClosed(f"Another job writes to {self.output} by now.")
            yield


def _path(output: str, name: str) -> Path:
    """Beside no output: a bucket has no locks."""
    place = output if "://" in output else str(Path(output).resolve())
    folder = Path(tempfile.gettempdir()) / f"model-functions-batch-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.{name}"
