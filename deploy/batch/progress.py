"""How far a job is, read off its journal: the same whoever does the parts, and wherever."""

import sys
import threading
from types import TracebackType
from typing import Self

from tqdm import tqdm

from deploy.batch.files import Files
from deploy.batch.job import Job
from deploy.batch.journal import Entry, Journal
from deploy.batch.parts import Part

_LOOK_S = 1.0


class Watch:
    """For ``with``: a bar on standard error with rows, rate, time left and errors so far; silent at no terminal.

    Args:
        before: what earlier runs have done.
    """

    def __init__(self, files: Files, job: Job, parts: list[Part], before: dict[int, Entry]) -> None:
        self._journal = Journal(files, job)
        self._seen = dict(before)
        self._over = threading.Event()
        self._bar = tqdm(
            total=sum(part.rows for part in parts),
            initial=sum(entry.all_rows for entry in before.values()),
            desc=job.model.name,
            unit=" rows",
            disable=not sys.stderr.isatty(),
        )
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        if not self._bar.disable:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._bar.close()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            for number, entry in self._journal.entries(self._seen):
                self._seen[number] = entry
                self._bar.update(entry.all_rows)
            failed = sum(entry.failed for entry in self._seen.values())
            self._bar.set_postfix(errors=failed)
