"""Reads deploy/locks/: every package that the project installs, with the digests of its files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from deploy.project import ROOT

LOCKS = ROOT / "deploy" / "locks"
DEVELOPMENT = LOCKS / "development.txt"
#: All functions' together: what two of them have, they have at one version.
FOR_FUNCTIONS = LOCKS / "functions.txt"
#: What batch jobs run on beside what DEVELOPMENT has.
FOR_BATCH = LOCKS / "batch.txt"
#: PyTorch's build for CPUs alone, of its own index: PyPI's brings gigabytes for GPUs along.
CPU_TORCH = LOCKS / "torch_cpu.txt"

#: Where functions run, in the words of a requirement's marker.
FUNCTIONS_RUN_ON = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.16",
    "python_version": "3.11",
    "sys_platform": "linux",
}

_ENTRY = re.compile(r"([a-z0-9-]+)==([^\s;]+)(?: ; (.+?))? \\\n")


#: Where CPU_TORCH comes from: a line of requirements.txt, which pip heeds. The digests keep all else from there out.
_CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu\n"

#: How the names of the packages begin that torch brings for GPUs alone.
FOR_GPUS = ("nvidia-", "cuda-", "triton")


@dataclass(frozen=True)
class Locked:
    """A package.

    Args:
        name: as PyPI spells it in addresses.
        marker: on which machines it is installed; empty: on all.
        digests: SHA-256 of each file of this version, for all platforms.
        wanted_by: the packages that require it.
    """

    name: str
    version: str
    marker: str
    digests: tuple[str, ...]
    wanted_by: frozenset[str]

    def is_for_functions(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate(FUNCTIONS_RUN_ON)


def packages(lock: Path) -> dict[str, Locked]:
    """What is locked, by name."""
    blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text())
    entries = [_entry(lock, block) for block in blocks if not block.startswith("#")]
    found = {entry.name: entry for entry in entries}
    if len(found) != len(entries):
        raise ValueError(f"{lock} has several versions of a package, each for some platforms. Pin it.")
    return found


def _entry(lock: Path, block: str) -> Locked:
    match = _ENTRY.match(block)
    if match is None:
        raise ValueError(f'{lock} has "{block.splitlines()[0]}", which locks nothing. Run "make lock".')
    wanted_by = re.findall(r"^    #(?: via)? +([a-z0-9-]+)$", block, re.MULTILINE)
    digests = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
    return Locked(match[1], match[2], match[3] or "", digests, frozenset(wanted_by))


def without(lock: Path, names: Iterable[str]) -> str:
    """The lock's text but for those packages."""
    left = set(names)
    blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text())
    return "\n".join(block for block in blocks if block.partition("==")[0] not in left).rstrip("\n") + "\n"


def of_function(pins: Mapping[str, str], locked: Mapping[str, Locked]) -> list[Locked]:
    """These packages and all that they bring where functions run, by name.

    Raises ValueError for a pin that is not locked.
    """
    for package, version in pins.items():
        found = locked.get(canonicalize_name(package))
        if found is None or found.version != version:
            raise ValueError(f'{package}=={version} is not locked. Run "make lock", which writes {FOR_FUNCTIONS}.')
    there = {name: entry for name, entry in locked.items() if entry.is_for_functions()}
    names: set[str] = {canonicalize_name(package) for package in pins}
    while new := {name for name, entry in there.items() if entry.wanted_by & names} - names:
        names |= new
    return [there[name] for name in sorted(names)]


def on_cpus(packages: Iterable[Locked]) -> list[Locked]:
    """The same with PyTorch's build for CPUs alone, and without what only GPUs need.

    Raises ValueError where that build is locked at another version.
    """
    return [_cpu_torch(one) if one.name == "torch" else one for one in packages if not one.name.startswith(FOR_GPUS)]


def _cpu_torch(torch: Locked) -> Locked:
    line = re.search(r"^torch==(\S+\+cpu)((?: --hash=sha256:[0-9a-f]{64})+)$", CPU_TORCH.read_text(), re.MULTILINE)
    if line is None or line[1] != f"{torch.version}+cpu":
        raise ValueError(
            f"{CPU_TORCH} does not lock torch=={torch.version}+cpu. Write there the digest that its index tells, "
            "or stage with --no-cpu-torch."
        )
    return replace(torch, version=line[1], digests=tuple(re.findall(r"sha256:([0-9a-f]{64})", line[2])))


def requirements(packages: Sequence[Locked]) -> str:
    """The packages as a requirements.txt, by whose digests pip checks what it downloads."""
    index = _CPU_INDEX if any(one.version.endswith("+cpu") for one in packages) else ""
    return index + "".join(f"{one.name}=={one.version}{_digests(one)}\n" for one in packages)


def _digests(package: Locked) -> str:
    return "".join(f" \\\n    --hash=sha256:{digest}" for digest in package.digests)
