"""The peak memory of a process tree: what its processes share is counted once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE_EVERY_S = 0.01


class Peak:
    def __init__(self) -> None:
        self.megabytes = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """The highest sum of the tree's PSS while it is entered, and as it is left."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_EVERY_S):
            peak.megabytes = max(peak.megabytes, tree_megabytes(pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
        peak.megabytes = max(peak.megabytes, tree_megabytes(pid))


def tree_megabytes(pid: int) -> float:
    return sum(_kilobytes(process) for process in tree(pid)) / 1024


def tree(pid: int) -> Iterator[int]:
    """The process and all below it."""
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            waiting += [int(child) for child in _text(children).split()]


def _kilobytes(pid: int) -> int:
    lines = _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _text(path: Path) -> str:
    """Nothing for a process that has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
