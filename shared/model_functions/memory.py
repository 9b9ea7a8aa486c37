"""How much memory this instance has, and how memory that was freed goes back to the system."""

import ctypes
import gc
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_MIB, _GIB = 2**20, 2**30

#: What ``--memory`` of a function may be, in MiB.
DEPLOYABLE_MIB = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

#: glibc's numbers (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
#: Parts that glibc divides its memory into.
_ARENAS = 2

#: Objects, and collections of the generations below, after which a generation is collected.
_USUALLY = gc.get_threshold()
_RARELY = (20_000, 50, 1_000)


def instance_limit(
    cgroups: Path = Path("/sys/fs/cgroup"), own_cgroups: Path = Path("/proc/self/cgroup"), physical: int | None = None
) -> int:
    """Bytes that this process may use before the system ends it: the smallest of its control groups' limits.

    Args:
        cgroups: where control groups are mounted, of version 2 or 1.
        own_cgroups: the list of this process's groups.
        physical: bytes of the machine; None asks the system.
    """
    # Where there is no limit, version 1 writes a huge number: the machine's own memory is then the smallest.
    found = [_physical() if physical is None else physical]
    for path in _limit_files(cgroups, own_cgroups):
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return min(found)


def reserve(limit: int) -> int:
    """Bytes of the limit that no model gets: 64 MiB or 8 %, the larger.

    A manifest counts the process and its models. Beside them stand the server's master process, the bodies and
    answers of as many requests as run at once, what a model computes in between, which grows with the
    instance, and the error of the estimates.
    """
    return max(64 * _MIB, limit * 8 // 100)


def deployable(needed: int) -> str | None:
    """The smallest ``--memory`` that has so many bytes beside its reserve, as ``4Gi``; None when none has."""
    for mib in DEPLOYABLE_MIB:
        if mib * _MIB - reserve(mib * _MIB) >= needed:
            return f"{mib}Mi" if mib < 1024 else f"{mib // 1024}Gi"
    return None


def spelled(size: int) -> str:
    """As ``1.94 GiB``, or ``512 MiB``."""
    return f"{size / _GIB:.2f} GiB" if size >= _GIB else f"{math.ceil(size / _MIB)} MiB"


@contextmanager
def rarely_collected() -> Iterator[None]:
    """For imports and unpickling: nearly all that they make stays, and to look through it for garbage at Python's own
    pace takes a fifth of their time. Not to look at all would leave garbage of a tenth of a small model.
    """
    gc.set_threshold(*_RARELY)
    try:
        yield
        # Else the first collection afterwards, within a request, would look through all of it. Of what fails nothing
        # stays: its error and what it has loaded refer to each other.
        gc.freeze()
    finally:
        gc.set_threshold(*_USUALLY)


def reclaim() -> None:
    """Frees what is garbage, and hands it back to the system.

    Engines' objects refer to each other in cycles, which only a collection frees; and glibc keeps what was freed
    for its own next use, where it still counts against the instance.
    """
    gc.unfreeze()
    gc.collect()
    # Else the next collection, within a request, would look through all that stays.
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share_freed() -> None:
    """Lets all threads take from what any of them has freed; for the start of a process that is a function's own.

    By itself glibc gives each thread its own part, up to eight for each core, and what a thread freed stays in its
    part: an instance grows with every thread that once had a large request.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, _ARENAS)


@cache
def keep_freed(kept: int) -> None:
    """Lets glibc keep what large requests free, for the next one. ``reclaim`` hands all of it back.

    It does so by itself from the first 32 MiB on that somebody frees; until then the system takes back each request's
    memory, and gives it out again page by page, which takes longer than to read, compute and answer 10 MB.

    Args:
        kept: bytes, of each thread: many threads could else keep more than the instance has to spare.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, min(32 * _MIB, kept))
        set_option(_M_TRIM_THRESHOLD, min(64 * _MIB, kept))


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limit_files(cgroups: Path, own_cgroups: Path) -> Iterator[Path]:
    """The limit of every group that this process is in, its own and those around it."""
    try:
        lines = own_cgroups.read_text().splitlines()
    except OSError:
        lines = []
    # A container sees its own group's files at the root, whatever path the list has.
    groups = {"": Path("/"), "memory": Path("/")}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        groups.update((name, Path(path)) for name in controllers.split(",") if name in groups)
    for group in (groups[""], *groups[""].parents):
        yield cgroups / group.relative_to("/") / "memory.max"
    for group in (groups["memory"], *groups["memory"].parents):
        yield cgroups / "memory" / group.relative_to("/") / "memory.limit_in_bytes"
