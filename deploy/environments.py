"""The environments that functions run in: this one where it has what they pin, else one of their own.

Such a one has exactly what the function's requirements.txt says, installed by pip as Google Cloud's build does it, each
file checked against deploy/locks/. It stands under build/environments/, is made once for each text of those, and is
never changed.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from deploy.locked import CPU_TORCH, FOR_FUNCTIONS
from deploy.project import BUILD, FUNCTIONS, ROOT
from model_functions.artifact.manifest import installed_version

ENVIRONMENTS = BUILD / "environments"

#: Seconds that pip may take, downloads included.
PATIENCE_S = 1800

#: Bytes from which a file that several environments have is on the disk once: torch is in most of them.
SHARED_BYTES = 64 * 1024

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)")

#: Written last, so that an environment without it is one that somebody stopped making.
_STAMP = "installed"


def satisfied(family: str) -> bool:
    """Whether this very environment has what the family's function pins."""
    source = FUNCTIONS / family
    if Path(sys.prefix) == _folder(source):
        return True
    pinned = pins(source / "requirements.txt")
    return all(installed_version(package) == version for package, version in pinned.items())


def programs(family: str) -> Path:
    """The folder with the ``python`` and ``functions-framework`` that the family's function runs on.

    Raises ValueError with the reason where an environment is missing and cannot be made.
    """
    return Path(sys.executable).parent if satisfied(family) else made(FUNCTIONS / family) / "bin"


def run(family: str, module: str, *arguments: str) -> int:
    """The exit status of ``python -m MODULE ARGUMENTS…`` in the family's own environment.

    What the function does without, as progress bars or scikit-learn's data, is found in this one, behind its own.
    """
    python = programs(family) / "python"
    # Nothing else of ours may come before what the environment has.
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [str(python), "-m", "deploy.beside", _packages(Path(sys.prefix)), module, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def made(source: Path) -> Path:
    """The environment of the folder's requirements.txt, which is made now where it is missing.

    Raises ValueError with the reason where it cannot be.
    """
    folder = _folder(source)
    if not (folder / _STAMP).exists():
        with alone(folder):
            if not (folder / _STAMP).exists():  # another one may have made it meanwhile
                _make(folder, source)
    return folder


def pins(requirements: Path) -> dict[str, str]:
    """Versions by package. Raises ValueError for a line that pins none."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    found = {line: _PIN.fullmatch(line) for line in lines if line}
    for line, match in found.items():
        if match is None:
            raise ValueError(f'{requirements} has "{line}", which is no exact pin. Write PACKAGE==VERSION.')
    return {match[1]: match[2] for match in found.values() if match}


def own_pins(family: str) -> dict[str, str]:
    """What the family's function pins and the development environment does not."""
    ours = pins(ROOT / "requirements.txt")
    pinned = pins(FUNCTIONS / family / "requirements.txt")
    return {package: version for package, version in pinned.items() if ours.get(package) != version}


def _make(folder: Path, source: Path) -> None:
    started = time.monotonic()
    print(f"installing what {source.name} runs on, once …", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    # Without pip and setuptools of its own, which would hide that the function lacks them.
    venv.create(folder, with_pip=False, symlinks=True)
    requirements = source / "requirements.txt"
    locked: list[str] = []
    if _is_locked(source):
        locked = ["--require-hashes", "--constraint", str(FOR_FUNCTIONS)]
        if "torch" in pins(requirements):
            with contextlib.suppress(
                ValueError
            ):  # what this machine does not offer comes from PyPI, with its GPUs' libraries
                _install(folder, CPU_TORCH, "--no-deps", "--require-hashes")
    _install(folder, requirements, *locked)
    _pip(folder, "check")
    _share(folder)
    (folder / _STAMP).touch()
    print(f"installed it in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _is_locked(source: Path) -> bool:
    """Other things than functions, as what they are measured against, are not deployed."""
    return source.parent == FUNCTIONS


def _install(folder: Path, requirements: Path, *options: str) -> None:
    # Not compiled: most modules are never imported, and Python compiles those that are.
    _pip(folder, "install", "--quiet", "--no-compile", *options, "--requirement", str(requirements))


def _pip(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin" / "python")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        told = (done.stderr + done.stdout).splitlines() or ["no reason given"]
        reason = next((line for line in told if line.startswith("ERROR")), told[-1])
        raise ValueError(f"{folder.name} cannot be installed: {reason[:300]}")


def _share(folder: Path) -> None:
    """Makes large files one with those of the other environments, where the disk can."""
    pool = ENVIRONMENTS / ".files"
    pool.mkdir(exist_ok=True)
    for path in Path(_packages(folder)).rglob("*"):
        if path.is_symlink() or not path.is_file() or path.stat().st_size < SHARED_BYTES:
            continue
        kept = pool / f"{blake3().update_mmap(path).hexdigest()}-{path.stat().st_mode:o}"
        with contextlib.suppress(OSError):
            _link(path, kept)


def _link(path: Path, kept: Path) -> None:
    try:
        kept.hardlink_to(path)
    except FileExistsError:
        beside = path.with_name(f".{path.name}")
        beside.hardlink_to(kept)
        beside.replace(path)


def _packages(folder: Path) -> str:
    """The environment's folder of packages."""
    return str(folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages")


def _folder(source: Path) -> Path:
    python = f"{sys.version}\n{sys.base_prefix}\n".encode()
    wanted = (source / "requirements.txt").read_bytes() + (FOR_FUNCTIONS.read_bytes() if _is_locked(source) else b"")
    digest = hashlib.sha256(python + wanted).hexdigest()
    # Functions that run on the same packages share one.
    return ENVIRONMENTS / f"{'function' if _is_locked(source) else source.name}-{digest[:12]}"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with open(ENVIRONMENTS / f".{folder.name}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
