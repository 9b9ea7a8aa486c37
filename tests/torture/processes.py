"""What is done to a whole function while it loads: killed, without a disk."""

import contextlib
import json
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import described_models
from tests.benchmarks.memory import tree
from tests.fakes.bucket import Call
from tests.running import Answer, Process, call
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.telling import publish_telling

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


def killed_workers(place: Place) -> Bar:
    """Ends the worker, and not its master, at moments behind a load's last byte; the next worker serves what is wanted.

    The model says where it is.
    """
    wrong, kept, moments = [], temporary(), ("unpickled 1", "unpickled 2", "asked 3", "answers 4")
    publish_telling(place, 1)
    with place.function("tabular", MODEL_NAME="telling", MODEL_REFRESH_SECONDS="1") as (url, process):
        for number, moment in enumerate(moments, 1):
            if number > 1:
                publish_telling(place, number)
            victim = worker(process.process.pid)
            if not _comes(moment, url, process):
                wrong.append(f"{moment} never came")
            os.kill(victim, signal.SIGKILL)
            answer = _again(url)
            expected = f'"{number} x"'.encode()
            if answer.status != 200 or expected not in answer.body or worker(process.process.pid) == victim:
                wrong.append(f"{moment}: {answer.status} {answer.body[:80]!r}")
    left = temporary() - kept
    value = f"{len(moments) - len(wrong)} of {len(moments)} serve again, {len(left)} files left {'; '.join(wrong)}"
    what = "workers killed while they unpickle, unpickle beside, test and swap a revision"
    return Bar(what, "all serve the new one again, 0 files left", value, not wrong and not left)


def _comes(moment: str, url: str, process: Process) -> bool:
    """Asks until the model has said so, or its answer says whose it is."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        asking = threading.Thread(target=_telling_in_vain, args=(url, answers := list[bytes]()), daemon=True)
        asking.start()
        while asking.is_alive():
            if any(f'"{moment}"' in line for line in list(process.lines)):
                return True
            asking.join(0.005)
        if moment.startswith("answers") and f'"{moment.split()[1]} x"'.encode() in b"".join(answers):
            return True
        time.sleep(0.05)
    return False


def _telling_in_vain(url: str, answers: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        answers.append(call(f"{url}/predict", b'{"data": "x"}', **_JSON).body)


def _again(url: str) -> Answer:
    """What the next worker answers, once there is one."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return call(f"{url}/predict", b'{"data": "x"}', **_JSON)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def worker(master: int) -> int:
    """The process that answers: the only child of gunicorn's master."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0]) if children else master


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


def without_room(place: Place) -> Bar:
    """A model whose engine reads a file, where no byte can be written to any; then there is room again."""
    wrapper, examples, _ = described_models.module(place.folder / "on-disk")
    place.publish("on_disk", wrapper, examples, engine="torch")
    question = json.dumps({"data": examples[0]}).encode()
    before = temporary()
    with place.function("pytorch", MODEL_NAME="on_disk") as (url, process):
        told = []
        for size in (0, resource.RLIM_INFINITY):
            for one in tree(process.process.pid):
                resource.prlimit(one, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            told.append(call(f"{url}/predict", question, **_JSON))
    refused, served = told
    left = temporary() - before
    value = f"{refused.status} {refused.headers.get('x-error-code')}, then {served.status}, {len(left)} files left"
    met = refused.headers.get("x-error-code") == "insufficient_memory" and "retry-after" in refused.headers
    bound = "503 insufficient_memory, then 200, 0 files left"
    return Bar("files for which /tmp has no room", bound, value, met and served.status == 200 and not left)


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
