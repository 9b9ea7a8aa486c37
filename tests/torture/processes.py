"""What is done to a whole function while it loads: killed, without a disk, with a clock that is wrong."""

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

#: How Debian's package faketime changes a process's clock, but not the one that only counts.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")

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
    """At once. The orderly end is tried elsewhere; libfaketime's own threads may not let a process have it."""
    for one in reversed(list(tree(process.process.pid))):
        os.kill(one, signal.SIGKILL)


def without_disk(place: Place) -> Bar:
    """A load where no byte can be written to any file."""
    with place.function("tabular") as (url, process):
        for one in tree(process.process.pid):
            resource.prlimit(one, resource.RLIMIT_FSIZE, (0, 0))
        answer = _asked(url)
    return Bar("a load without a disk", "serves", str(answer.status), answer.status == 200)


def clocks(place: Place) -> list[Bar]:
    """Clocks that are wrong, and that jump while the function serves."""
    if not FAKETIME.exists():
        return [Bar("clocks that are wrong", "no effect", "not tried: Debian's faketime is not installed", met=True)]
    wrong: list[str] = []
    for offset in ("-10m", "+10m"):
        with place.function("tabular", **_faketime(FAKETIME=offset)) as (url, process):
            _check(place, url, f"clock at {offset}", wrong)
            _end(process)
    with tempfile.TemporaryDirectory() as folder:
        now = Path(folder) / "now"
        now.write_text("+0")
        fake = _faketime(FAKETIME_TIMESTAMP_FILE=str(now), FAKETIME_NO_CACHE="1")
        with place.function("tabular", MODEL_REFRESH_SECONDS="1", **fake) as (url, process):
            _check(place, url, "before the jump", wrong)
            for jump in ("-1h", "+2h"):
                now.write_text(jump)
                time.sleep(1.2)
                _check(place, url, f"after a jump to {jump}", wrong)
            _end(process)
    return [Bar("clocks ± 10 min, jumps of an hour back and forth", "no effect", "; ".join(wrong) or "none", not wrong)]


def _check(place: Place, url: str, what: str, wrong: list[str]) -> None:
    """It serves, and what it cannot load it refuses for a time that is to come."""
    answer = _asked(url)
    if answer.status != 200:
        wrong.append(f"{what}: {answer.status} {answer.body[:80]!r}")
    place.bucket.fault("read", "*/absent/*", status=503, times=None)
    refusal = call(f"{url}/predict", b'{"model_name": "absent", "data": "x"}', **_JSON)
    place.bucket.heal()
    if refusal.status != 503 or not 0 < int(refusal.headers.get("retry-after", 0)) < 120:
        wrong.append(f"{what}: refused with {refusal.status}, Retry-After {refusal.headers.get('retry-after')}")


def _faketime(**settings: str) -> dict[str, str]:
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", **settings}


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
