"""An instance of 512 MiB, ten models of 100 MiB, and requests for any of them: it evicts, refuses honestly, and lives.

Where control groups of version 1 can be made (as root), the kernel itself enforces the limit; elsewhere the function is
told its size by MEMORY_LIMIT, and what it takes is sampled.
"""

import json
import os
import random
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from model_functions import memory
from tests.benchmarks.memory import tree, watched
from tests.running import Answer, Process, call
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.weighty import publish_weighty

#: Requests.
LENGTHS = {"ci": 60, "short": 300, "full": 2000}

MIB = 2**20
LIMIT = 512 * MIB
MODELS = 10
MODEL_BYTES = 100 * MIB
THREADS = 8
#: A refusal is repeated after its Retry-After, so often.
REPEATS = 10

GROUPS = Path("/sys/fs/cgroup/memory")
_GROUP = "model_functions_torture"


class Requests:
    """Many requests at a time, and what became of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self.answered = self.refused = 0
        self.wrong: list[str] = []
        self.used: list[int] = []
        """The models, as their answers came."""

    def ask(self, number: int) -> None:
        for _ in range(REPEATS):
            body = json.dumps({"model_name": f"model{number}", "data": f"of {number}"}).encode()
            try:
                answer = call(f"{self._url}/predict", body, **{"Content-Type": "application/json"})
            except OSError as exc:
                self._note(f"{type(exc).__name__}: {exc}")
                return
            if answer.status != 503:
                self._judge(number, answer)
                return
            if not self._is_honest(answer):
                self._note(f"503 {answer.body[:120]!r}")
                return
            with self._lock:
                self.refused += 1
            time.sleep(min(float(answer.headers["retry-after"]), 1.0))

    def _judge(self, number: int, answer: Answer) -> None:
        if answer.status != 200 or json.loads(answer.body)["body"] != f"{number} of {number}":
            self._note(f"{answer.status} {answer.body[:120]!r}")
            return
        with self._lock:
            self.answered += 1
            self.used.append(number)

    def _is_honest(self, answer: Answer) -> bool:
        codes = ("insufficient_memory", "overloaded", "model_loading")
        return answer.headers.get("x-error-code") in codes and int(answer.headers.get("retry-after", 0)) > 0

    def _note(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)


def run(length: str, place: Place) -> list[Bar]:
    needs = [publish_weighty(place, f"model{number}", number, MODEL_BYTES).manifest.memory for number in range(MODELS)]
    places = (LIMIT - memory.reserve(LIMIT) - needs[0].runtime) // needs[0].load
    count, chance = LENGTHS[length], random.Random(0)
    with _group() as group, _within(place, group) as (url, process):
        pids = list(tree(process.process.pid))
        requests, began = Requests(url), len(place.bucket.calls)
        with watched(process.process.pid) as peak, ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(requests.ask, (chance.randrange(MODELS) for _ in range(count))))
        alive = list(tree(process.process.pid)) == pids
        loads = sum(one.object.endswith("/wrapper.dill") for one in place.bucket.calls[began:])
        kills = _number(group / "memory.oom_control", "oom_kill") if group else 0
        highest = int((group / "memory.max_usage_in_bytes").read_text()) if group else 0
    by = "a control group" if group else "MEMORY_LIMIT"
    share, fewest = peak.megabytes * MIB / LIMIT, reloads(requests.used, places)
    wrong = Counter(requests.wrong).most_common(3)
    told = f"{requests.answered} answered, {requests.refused} refused first, {len(requests.wrong)} wrong {wrong or ''}"
    bars = [
        Bar(
            f"512 MiB by {by}: {count} requests for {MODELS} models of 100 MiB",
            "0 × 5xx but honest 503",
            told,
            not requests.wrong and requests.answered == count,
        ),
        Bar("kills", "0", f"{kills}, {'the same processes' if alive else 'other processes'}", alive and not kills),
        Bar("memory", "≤ 92 % of the limit", f"{100 * share:.0f} %", share <= 0.92),
        Bar("loads", f"≤ 1.05 × LRU's {fewest} of {places} models", f"{loads / fewest:.3f} ×", loads <= 1.05 * fewest),
    ]
    if group:
        bars.append(Bar("the most that the group had", "≤ 512 MiB", f"{highest // MIB} MiB", highest <= LIMIT))
    return bars


@contextmanager
def _within(place: Place, group: Path | None) -> Iterator[tuple[str, Process]]:
    """The function, a member of the group from its first byte on."""
    if group:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    running = place.function("tabular", MEMORY_LIMIT="512Mi", THREADS=str(THREADS))
    try:
        url, process = running.__enter__()
    finally:
        if group:
            (GROUPS / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield url, process
    finally:
        running.__exit__(None, None, None)


def reloads(used: list[int], places: int) -> int:
    """How often a cache of so many places loads, which evicts the least recently used."""
    kept: OrderedDict[int, None] = OrderedDict()
    loads = 0
    for number in used:
        if number not in kept:
            loads += 1
            if len(kept) >= places:
                kept.popitem(last=False)
        kept[number] = None
        kept.move_to_end(number)
    return loads


@contextmanager
def _group() -> Iterator[Path | None]:
    """A control group of the limit; None where none can be made."""
    folder = GROUPS / _GROUP
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(LIMIT))
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        for _ in range(100):
            if not (folder / "cgroup.procs").read_text():
                break
            time.sleep(0.1)
        os.rmdir(folder)  # noqa: PTH106 - a control group is no other folder


def _number(path: Path, name: str) -> int:
    return next((int(line.split()[1]) for line in path.read_text().splitlines() if line.split()[0] == name), 0)
