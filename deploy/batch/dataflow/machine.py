"""Which machine a job's workers are: the smallest whose memory holds a copy of the model for every process."""

import math
import re
from dataclasses import dataclass

from model_functions.artifact.manifest import Manifest

_MIB, _GIB = 2**20, 2**30

#: Parts that a process has in work: while the model reads the rows of one, the other is read or written.
THREADS = 2
#: Bytes of a process beside the model: Beam, and the rows of the parts that it has in work.
OF_A_PROCESS = 768 * _MIB
#: Bytes of a machine that are not the processes': its system and Dataflow's own runner.
OF_THE_MACHINE = 2 * _GIB
#: Machines at most, where nobody says.
MOST_WORKERS = 10

#: GiB a vCPU, by kind of machine. N1 has its own.
_GIB_A_CPU = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
_GIB_A_CPU_OF_N1 = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}
_TYPE = re.compile(r"([a-z][a-z0-9]*)-(standard|highmem|highcpu)-(\d+)")

#: In the order of being tried, with a process for each vCPU; then the last ones with one process a machine.
_SMALLEST = ("e2-standard-2", "e2-highmem-2")
_WITH_ONE_PROCESS = ("e2-highmem-2", "e2-highmem-4", "e2-highmem-8", "e2-highmem-16")


@dataclass(frozen=True)
class Machine:
    """Args: processes: of one machine, each with its own copy of the model."""

    type: str
    processes: int
    vcpus: int


def chosen(manifest: Manifest, asked: str | None = None) -> Machine:
    """The machine for the model. Raises ValueError where none is large enough, or the one that was asked for is not.

    Needed is ``processes * (model + OF_A_PROCESS) + OF_THE_MACHINE``, where the model is what its manifest says that a
    process takes at most, whichever of its lanes the machine goes.
    """
    needed = _needed(manifest)
    if asked is not None:
        return _asked(asked, needed, manifest.name)
    for name in _SMALLEST:
        machine = _with_processes(name, needed)
        if machine is not None and machine.processes > 1:
            return machine
    for name in _WITH_ONE_PROCESS:
        if _gib(name) * _GIB >= needed + OF_THE_MACHINE:
            return Machine(name, 1, _vcpus(name))
    largest = _WITH_ONE_PROCESS[-1]
    raise ValueError(
        f"{manifest.name} takes {_told(needed)} a process, and {largest} has {_gib(largest):g} GiB. Say a larger "
        "--machine-type, as n2-highmem-32."
    )


def workers(parts: int, machine: Machine, asked: int | None = None) -> int:
    """Machines at most: no more than have a part to do. Raises ValueError."""
    if asked is not None:
        if not 1 <= asked <= 1000:
            raise ValueError(f"--max-workers {asked}: Dataflow takes 1 to 1000.")
        return asked
    return max(1, min(MOST_WORKERS, math.ceil(parts / (machine.processes * THREADS))))


def _needed(manifest: Manifest) -> int:
    """Bytes of a process."""
    model = max(lane.memory.runtime + max(lane.memory.load, lane.memory.model) for lane in manifest.lanes)
    return model + OF_A_PROCESS


def _asked(name: str, needed: int, model: str) -> Machine:
    if _TYPE.fullmatch(name) is None:
        raise ValueError(
            f"--machine-type {name} is none whose memory is known here. Say one as e2-standard-4, n2-highmem-8 or "
            "n1-highcpu-16."
        )
    machine = _with_processes(name, needed)
    if machine is None:
        raise ValueError(
            f"--machine-type {name} has {_gib(name):g} GiB, and {model} takes {_told(needed)} a process beside "
            f"{_told(OF_THE_MACHINE)} of the machine's own. Say a larger one, or leave it away."
        )
    return machine


def _with_processes(name: str, needed: int) -> Machine | None:
    """A process for each vCPU where the memory is enough, else one; None where it is not enough for that either.

    Nothing in between: Dataflow starts either.
    """
    vcpus, room = _vcpus(name), _gib(name) * _GIB - OF_THE_MACHINE
    if room >= vcpus * needed:
        return Machine(name, vcpus, vcpus)
    return Machine(name, 1, vcpus) if room >= needed else None


def _gib(name: str) -> float:
    family, kind, vcpus = name.split("-")
    return (_GIB_A_CPU_OF_N1 if family == "n1" else _GIB_A_CPU)[kind] * int(vcpus)


def _vcpus(name: str) -> int:
    return int(name.rpartition("-")[2])


def _told(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
