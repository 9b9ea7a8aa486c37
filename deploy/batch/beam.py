"""Where Apache Beam is: in a folder of its own behind the environment, so that nothing else here ever imports it.

It brings pyarrow and grpcio, which pandas and Google's clients import wherever they find them: installed beside the
rest, they would make every command and every test run on something that functions do not have. The folder is
installed once, by digest, from deploy/locks/batch.txt.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy import environments
from deploy.environments import ENVIRONMENTS, PATIENCE_S, alone
from deploy.locked import FOR_BATCH
from deploy.project import ROOT

_STAMP = "installed"
_PATH = "PYTHONPATH"


def enter() -> None:
    """Makes ``import apache_beam`` possible, here and in the processes that this one starts."""
    if importlib.util.find_spec("apache_beam") is None:
        sys.path.append(str(packages()))
    # Workers find the project and its packages as this process does.
    ours = [str(ROOT), str(ROOT / "shared"), *(path for path in sys.path if path.startswith(str(ENVIRONMENTS)))]
    given = os.environ.get(_PATH, "").split(os.pathsep)
    os.environ[_PATH] = os.pathsep.join(dict.fromkeys([*ours, *filter(None, given)]))


def run_in_its_own(family: str, arguments: Iterable[str]) -> int | None:
    """The exit status of this command in the family's own environment; None where this one has what it needs."""
    if environments.satisfied(family):
        return None
    packages()  # while there is a pip
    return environments.run(family, "deploy", *arguments)


def packages() -> Path:
    """The folder, which is made now where it is missing. Raises ValueError with the reason where it cannot be."""
    wanted = f"{sys.version}\n".encode() + FOR_BATCH.read_bytes()
    folder = ENVIRONMENTS / f"batch-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not (folder / _STAMP).exists():
        with alone(folder):
            if not (folder / _STAMP).exists():  # another one may have made it meanwhile
                _install(folder)
    return folder


def _install(folder: Path) -> None:
    print("installing Apache Beam, once …", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    # Without dependencies: the lock has them all, those that Beam would have older included.
    options = ["--quiet", "--no-deps", "--no-compile", "--require-hashes", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, "-r", str(FOR_BATCH)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        told = (done.stderr + done.stdout).splitlines() or ["no reason given"]
        reason = next((line for line in told if line.startswith("ERROR")), told[-1])
        raise ValueError(f"Apache Beam cannot be installed: {reason[:300]}")
    (folder / _STAMP).touch()
