"""A canary: how a new revision does beside the one that serves, by Cloud Run's log of the requests of both."""

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deploy.cloud.asking import Answer, Function, Question
from deploy.cloud.configuration import Canary, Configuration
from deploy.cloud.sdk import Gcloud, GcloudFailed

#: Answers of each from which their latencies are compared.
ENOUGH = 5
#: Seconds that a median may be larger whatever the ratio: a millisecond more is no harm where one is all there is.
HARMLESS_S = 0.05
#: Seconds within which a request gets into the log.
LOGGING_S = 15

#: Probes, and looks at the log, while a canary is watched.
_PROBES, _LOOKS = 20, 3


class CanaryWorse(ValueError):
    """A new revision does worse than the one that serves."""


@dataclass(frozen=True)
class Record:
    """What a revision answered."""

    answers: int = 0
    errors: int = 0
    median_s: float = 0.0

    @property
    def error_rate(self) -> float:
        return self.errors / self.answers if self.answers else 0.0

    def __str__(self) -> str:
        return f"{self.answers} answers, {self.errors} errors, median {self.median_s * 1000:.0f} ms"


def verdict(serving: Record, new: Record, wanted: Canary) -> str:
    """Why the new revision does worse; empty where it does not."""
    if new.errors and new.error_rate > max(wanted.max_error_rate, serving.error_rate):
        return (
            f"{new.errors} of its {new.answers} answers were errors, {new.error_rate:.1%} and not at most "
            f"{max(wanted.max_error_rate, serving.error_rate):.1%}"
        )
    if min(serving.answers, new.answers) < ENOUGH or new.median_s - serving.median_s <= HARMLESS_S:
        return ""
    if new.median_s > wanted.max_slowdown * serving.median_s:
        return (
            f"its median latency is {new.median_s * 1000:.0f} ms, and {serving.median_s * 1000:.0f} ms that of the "
            f"revision before: more than {wanted.max_slowdown:g} times as much"
        )
    return ""


def records(entries: Iterable[Mapping[str, Any]]) -> dict[str, Record]:
    """What each revision answered, by the entries of Cloud Run's request log."""
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        request = entry.get("httpRequest", {})
        revision = entry.get("resource", {}).get("labels", {}).get("revision_name")
        if revision and request.get("status"):
            seconds = float(str(request.get("latency", "0s")).removesuffix("s"))
            found.setdefault(revision, []).append((int(request["status"]), seconds))
    return {revision: _record(answers) for revision, answers in found.items()}


def _record(answers: Iterable[tuple[int, float]]) -> Record:
    answers = list(answers)
    if not answers:
        return Record()
    failed = sum(status >= 500 or status == 0 for status, _ in answers)
    return Record(len(answers), failed, statistics.median(seconds for _, seconds in answers))


class Watch:
    """Watches two revisions of a function, and asks both meanwhile, so that there is something to judge by.

    Args:
        functions: the function as callers ask it, and the new revision alone.
        tell: hears how it goes.
        stopped: set where somebody ends the release.
    """

    def __init__(
        self,
        gcloud: Gcloud,
        configuration: Configuration,
        name: str,
        functions: tuple[Function, Function],
        question: Question,
        tell: Callable[[str], None],
        stopped: threading.Event,
    ) -> None:
        self._gcloud = gcloud
        self._region = configuration.region
        self._wanted = configuration.canary
        self._name = name
        self._functions = functions
        self._question = question
        self._tell = tell
        self._stopped = stopped
        self._own: list[tuple[int, float]] = []

    def run(self, serving: str, new: str) -> None:
        """Raises CanaryWorse as soon as it is clear, at the latest after the configured time."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        pause = self._wanted.seconds / _PROBES
        for number in range(1, _PROBES + 1):
            started = time.monotonic()
            self._probe()
            if self._stopped.wait(max(0.0, pause - (time.monotonic() - started))):
                return
            if number < _PROBES and number % (_PROBES // _LOOKS) == 0:
                self._judge(since, serving, new)
        end = time.monotonic() + LOGGING_S
        while self._judge(since, serving, new).answers < len(self._own) and time.monotonic() < end:
            if self._stopped.wait(2):
                return

    def _probe(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            answers: list[Answer] = list(pool.map(lambda one: one.ask(self._question), self._functions))
        self._own.append((answers[1].status, answers[1].seconds))

    def _judge(self, since: str, serving: str, new: str) -> Record:
        """What the log has of the new revision; without it, what our own probes saw."""
        found = self._logged(since)
        ours = _record(self._own)
        seen = max(found.get(new, Record()), ours, key=lambda record: (record.errors, record.answers))
        before = found.get(serving, Record())
        self._tell(f"{new}: {seen}; {serving}: {before}")
        worse = verdict(before, seen, self._wanted)
        if worse:
            raise CanaryWorse(worse)
        return found.get(new, Record())

    def _logged(self, since: str) -> dict[str, Record]:
        # Cloud Run's own log of requests; what the function writes itself has no such field.
        wanted = (
            f'resource.type="cloud_run_revision" resource.labels.service_name="{self._name}" '
            f'resource.labels.location="{self._region}" timestamp>="{since}" httpRequest.status>0'
        )
        try:
            return records(self._gcloud.read("logging", "read", wanted, "--limit=10000") or [])
        except GcloudFailed as error:
            self._tell(f"the request log cannot be read, so only our own probes count: {error.reason}")
            return {}
