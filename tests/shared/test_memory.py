import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from model_functions import memory

MIB = 2**20
GIB = 2**30
UNLIMITED_V1 = "9223372036854771712\n"


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> None:
    """Not here: what a collection looks at is what these tests are about."""


def limit(tmp_path: Path, own: str, files: dict[str, str], physical: int = 64 * GIB) -> int:
    """The instance's limit where those are the control groups' files."""
    own_cgroups = tmp_path / "own"
    own_cgroups.write_text(own)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory.instance_limit(tmp_path / "cgroup", own_cgroups, physical)


def test_the_limit_of_a_container_is_at_the_root(tmp_path: Path) -> None:
    assert limit(tmp_path, "0::/\n", {"memory.max": f"{GIB}\n"}) == GIB


@pytest.mark.parametrize("smallest", ["a/b/memory.max", "a/memory.max", "memory.max"])
def test_the_smallest_limit_around_the_process_counts(tmp_path: Path, smallest: str) -> None:
    files = dict.fromkeys(("a/b/memory.max", "a/memory.max", "memory.max"), f"{2 * GIB}\n")
    assert limit(tmp_path, "0::/a/b\n", files | {smallest: f"{GIB}\n", "c/memory.max": "1\n"}) == GIB


def test_no_limit_of_version_2_is_the_machines_memory(tmp_path: Path) -> None:
    assert limit(tmp_path, "0::/\n", {"memory.max": "max\n"}, physical=8 * GIB) == 8 * GIB


@pytest.mark.parametrize("place", ["memory/docker/x", "memory"])
def test_version_1_is_read_too(tmp_path: Path, place: str) -> None:
    own = "9:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n"
    assert limit(tmp_path, own, {f"{place}/memory.limit_in_bytes": f"{512 * MIB}\n"}) == 512 * MIB


def test_no_limit_of_version_1_is_the_machines_memory(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": UNLIMITED_V1}
    assert limit(tmp_path, "4:memory:/\n", files, physical=8 * GIB) == 8 * GIB


def test_a_system_without_control_groups_has_its_memory(tmp_path: Path) -> None:
    assert memory.instance_limit(tmp_path, tmp_path / "none", 4 * GIB) == 4 * GIB


def test_this_system_has_a_limit() -> None:
    assert memory.instance_limit() > 64 * MIB


def test_a_part_is_kept_for_requests() -> None:
    assert memory.reserve(512 * MIB) == 64 * MIB
    assert memory.reserve(4 * GIB) == 4 * GIB * 8 // 100


@pytest.mark.parametrize(
    ("needed", "size"),
    [(1, "128Mi"), (400 * MIB, "512Mi"), (500 * MIB, "1Gi"), (GIB, "2Gi"), (3 * GIB, "4Gi"), (31 * GIB, None)],
)
def test_the_size_to_deploy_has_room_beside_the_reserve(needed: int, size: str | None) -> None:
    assert memory.deployable(needed) == size


def test_bytes_are_spelled_for_people() -> None:
    assert [memory.spelled(size) for size in (1, 256 * MIB, GIB, 1946 * MIB)] == [
        "1 MiB",
        "256 MiB",
        "1.00 GiB",
        "1.90 GiB",
    ]


class Node:
    """Garbage that only a collection finds, once nobody else has it."""

    def __init__(self) -> None:
        self.itself = self


def test_reclaiming_frees_cycles() -> None:
    node = weakref.ref(Node())
    memory.reclaim()
    assert node() is None


def test_a_load_is_rarely_collected_and_what_it_made_never_again() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    with memory.rarely_collected():
        assert gc.get_threshold() > usual
        # Another load, side by side.
        with memory.rarely_collected():
            pass
        made: list[object] = [[]]
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > frozen
    gc.unfreeze()
    assert made


def test_what_a_load_that_fails_has_made_is_left_to_the_collector() -> None:
    """A model whose every load fails half-way would else take more memory with each."""
    usual, nodes = gc.get_threshold(), list[weakref.ref[Node]]()

    def load() -> None:
        with memory.rarely_collected():
            nodes.append(weakref.ref(Node()))
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        load()
    assert gc.get_threshold() == usual
    gc.collect()
    assert nodes[0]() is None


#: Pages that each of four requests of 40 MiB takes from the system.
_PAGES_TAKEN = """
import resource, sys
from model_functions import memory

def request():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [bytearray(10 * 2**20) for _ in range(4)]
    del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    memory.keep_freed(64 * 2**20)
taken = [request() for _ in range(4)]
memory.reclaim()
print(*taken, request())
"""


@pytest.mark.parametrize("keep", ["keep", "leave"])
def test_what_large_requests_free_is_kept_for_the_next_and_can_be_reclaimed(keep: str) -> None:
    command = [sys.executable, "-c", _PAGES_TAKEN, keep]
    environment = os.environ | {"PYTHONPATH": str(Path(memory.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    first, *later, after = map(int, done.stdout.split())
    assert first > 10_000
    assert after > 10_000
    assert all(taken < 100 for taken in later) == (keep == "keep")


#: Bytes that a process has, more than at first, once each of twelve threads has had 4 MiB in small parts.
_GROWN = """
import sys, threading
from pathlib import Path
from model_functions import memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def request():
    # What is in between keeps the others from going back to the system.
    parts = [bytearray(4096) for _ in range(1024)]
    few = parts[::16]
    del parts
    kept.append(few)
    done.wait()

if sys.argv[1] == "share":
    memory.share_freed()
kept, done, threads, before = [], threading.Event(), [], resident()
for _ in range(12):
    threads.append(threading.Thread(target=request))
    threads[-1].start()
    while len(kept) < len(threads):
        pass
print(resident() - before)
done.set()
"""


def grown(*arguments: str) -> int:
    environment = os.environ | {"PYTHONPATH": str(Path(memory.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", _GROWN, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return int(done.stdout)


def test_threads_take_from_what_others_freed() -> None:
    assert 2 * grown("share") < grown("leave")
