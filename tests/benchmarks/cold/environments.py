"""The peers' own environments: made when missing, one for each, with the versions that their files pin."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.cold.places import ENVIRONMENTS, PEERS

PATIENCE_S = 1800


def environment(peer: str) -> Path:
    """Where the peer's programs are. Raises RuntimeError with the reason where it cannot be installed."""
    requirements = PEERS / peer / "requirements.txt"
    folder = ENVIRONMENTS / peer
    # Changed pins make it anew.
    mark = folder / f"installed-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    if not mark.exists():
        print(f"installing {peer} …", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(folder / "bin" / "pip"), "install", "--quiet", "-r", str(requirements))
        mark.touch()
    return folder / "bin"


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise RuntimeError((errors or result.stderr.splitlines() or ["no reason given"])[-1][:200])
