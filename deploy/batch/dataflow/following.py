"""Follows a job of Dataflow to its end: its state, its messages, and how many rows its machines have counted."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from deploy.batch.dataflow.record import Record

#: Seconds between two looks; Dataflow's own numbers are newer every few.
LOOK_S = 5.0

_ENDED = ("DONE", "FAILED", "CANCELLED", "DRAINED", "UPDATED", "STOPPED")
_TOLD = ("JOB_MESSAGE_WARNING", "JOB_MESSAGE_ERROR")


class Followed:
    """``state`` is as RUNNING, ``seconds`` from the job's submission to it; both as they were at the last look.

    Args:
        client: Beam's, of the job's project and region.
        rows: of the parts that the job was given; 0 where nobody knows.
    """

    def __init__(self, client: Any, record: Record, rows: int = 0) -> None:
        self.record = record
        self._client = client
        self._rows = rows
        self.state = ""
        self.seconds = 0.0
        self._told: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Reads its state."""
        found = self._client.get_job(self.record.id)
        self.state = found.current_state.name.removeprefix("JOB_STATE_")
        self.seconds = round(max(0.0, (found.current_state_time - found.create_time).total_seconds()), 3)

    @property
    def is_active(self) -> bool:
        return self.state not in _ENDED

    def to_the_end(self) -> str:
        """Its last state; what happens meanwhile is told on standard error.

        Raises KeyboardInterrupt.
        """
        bar = tqdm(total=self._rows or None, desc=self.record.id[:20], unit=" rows", disable=not sys.stderr.isatty())
        with bar, _interrupts_noted() as interrupted:
            while True:
                self._tell(bar)
                if not self.is_active:
                    return self.state
                if interrupted.wait(LOOK_S):
                    raise KeyboardInterrupt

    def counted(self) -> tuple[int, int]:
        """Rows predicted and dead letters, so far."""
        found = {"rows": 0, "dead_letters": 0}
        for metric in self._client.get_job_metrics(self.record.id).metrics:
            name, context = metric.name.name, metric.name.context
            # What a machine has counted of a part that is not done yet is "tentative".
            is_ours = metric.name.origin == "user" and context.get("namespace") == "batch" and name in found
            if is_ours and context.get("tentative") != "true":
                found[name] += int(metric.scalar or 0)
        return found["rows"], found["dead_letters"]

    def errors(self) -> list[str]:
        """What it says went wrong, each once."""
        return list(dict.fromkeys(_reason(text) for _, name, text in self._messages() if name == "JOB_MESSAGE_ERROR"))

    def _tell(self, bar: Any) -> None:
        before = self.state
        self.look()
        if self.state != before:
            words = self.state.lower().replace("_", " ")
            tqdm.write(f"Dataflow's job {self.record.id} is {words}", file=sys.stderr)
        rows, failed = self.counted()
        bar.update(rows + failed - bar.n)
        bar.set_postfix(errors=failed)
        for when, importance, text in self._messages():
            if importance in _TOLD and (when, text) not in self._told:
                self._told.add((when, text))
                tqdm.write(f"{importance.removeprefix('JOB_MESSAGE_').lower()}: {_reason(text)}", file=sys.stderr)

    def _messages(self) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        token = None
        while token != "":
            page, token = self._client.list_messages(
                self.record.id, page_token=token, minimum_importance="JOB_MESSAGE_WARNING"
            )
            found += [(str(one.time), one.message_importance.name, one.message_text) for one in page]
        return found


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Ctrl-C counts between two looks: raised in the midst of a request, it may be taken for the request's failure."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda *_: noted.set())
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _reason(text: str) -> str:
    """The last line of what a machine told, which has the error itself, without where in the pipeline it was."""
    lines = [line.strip() for line in text.replace("\\n", "\n").splitlines() if line.strip()]
    return (lines or [text])[-1].partition(" [while running")[0][:1000]
