"""What is done to a whole function while it loads: killed, without a disk."""

import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.memory import tree
from tests.fakes.bucket import Call
from tests.running import Answer, Process, call
from tests.torture.part import Bar
from tests.torture.place import Place

_QUESTION = b'{"model_name": "weighty", "data": "x"}'
_JSON = {"Content-Type": "application/json"}


def _asked(url: str) -> Answer:
    return call(f"{url}/predict", _QUESTION, **_JSON)


def killed(place: Place, times: int) -> Bar:
    """Ends a function in the midst of a load, at points from its first byte to its last; a new one serves."""
    wrong, kept = [], temporary()
    size = sum(len(place.bucket.data(name)) for name in place.bucket.names() if "/weighty/" in name)
    for number in range(times):
        point = size * number // max(times - 1, 1)
        with _slowed(place), place.function("tabular") as (url, process):
            began = len(place.bucket.calls)
            asking = threading.Thread(target=_ask_in_vain, args=(url,))
            asking.start()
            deadline = time.monotonic() + 20
            while _sent(place, began) < point and asking.is_alive() and time.monotonic() < deadline:
                time.sleep(0.001)
            _end(process)
            asking.join()
        with place.function("tabular") as (url, _):
            answer = _asked(url)
            if answer.status != 200 or b"7 x" not in answer.body:
                wrong.append(f"after {point} bytes: {answer.status} {answer.body[:80]!r}")
    grown = len(temporary() - kept)
    value = f"{times - len(wrong)} of {times} serve again, {grown} files more"
    return Bar(f"killed at {times} points of a load", "all serve again, ≤ 1 file left", value, not wrong and grown <= 1)


def _end(process: Process) -> None:
    """At once, without the chance to put anything away."""
    # The first of them starts others for those that end.
    for one in list(tree(process.process.pid)):
        os.kill(one, signal.SIGKILL)


def without_disk(place: Place) -> Bar:
    """A load where no byte can be written to any file."""
    with place.function("tabular") as (url, process):
        for one in tree(process.process.pid):
            resource.prlimit(one, resource.RLIMIT_FSIZE, (0, 0))
        answer = _asked(url)
    return Bar("a load without a disk", "serves", str(answer.status), answer.status == 200)


@contextmanager
def _slowed(place: Place) -> Iterator[None]:
    place.bucket.fault("read", "*/weights.safetensors", times=None, bandwidth=15_000_000)
    try:
        yield
    finally:
        place.bucket.heal()


def _sent(place: Place, began: int) -> int:
    calls: list[Call] = place.bucket.calls[began:]
    return sum(one.sent for one in calls)


def _ask_in_vain(url: str) -> None:
    try:
        _asked(url)
    except OSError:
        return


@contextmanager
def private_temporary(folder: Path) -> Iterator[None]:
    """A folder for temporary files that nobody else uses, for this process and those that it starts."""
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = None
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def temporary() -> frozenset[str]:
    return frozenset(path.name for path in Path(tempfile.gettempdir()).iterdir())
