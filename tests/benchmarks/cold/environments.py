"""The contenders' own environments, with what each of them needs and nothing else: made when missing."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.cold.places import ENVIRONMENTS

PATIENCE_S = 1800


def environment(source: Path) -> Path:
    """Where the programs of a function's or a peer's requirements.txt are.

    Raises RuntimeError with the reason where they cannot be installed.
    """
    requirements = source / "requirements.txt"
    folder = ENVIRONMENTS / source.name
    # Changed pins make it anew.
    mark = folder / f"installed-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    if not mark.exists():
        print(f"installing {source.name} …", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(folder / "bin" / "pip"), "install", "--quiet", "-r", str(requirements))
        mark.touch()
    return folder / "bin"


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise RuntimeError((errors or result.stderr.splitlines() or ["no reason given"])[-1][:200])
