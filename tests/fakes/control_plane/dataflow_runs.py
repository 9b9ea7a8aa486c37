"""What a job of Dataflow does: a process of its own has the packages that were staged, and runs the staged pipeline."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.batch import beam

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

WORKER = Path(__file__).with_name("dataflow_worker.py")


class Failed(Exception):
    """The job went wrong, as its machines tell it."""


class Run:
    """Args: account: that the machines run as; pipeline: in Beam's proto; packages: staged files, by their names."""

    def __init__(
        self, plane: "ControlPlane", account: str, machine: str, pipeline: bytes, packages: dict[str, bytes]
    ) -> None:
        self.account, self.machine = account, machine
        self.packages = packages
        self._plane = plane
        self._pipeline = pipeline
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def counters(self) -> list[dict[str, Any]]:
        """What the pipeline has counted, when it has ended. Raises Failed."""
        with tempfile.TemporaryDirectory(prefix="dataflow-") as name:
            folder = Path(name)
            installed = self._installed(folder)
            (folder / "pipeline.pb").write_bytes(self._pipeline)
            # Neither this tree nor its shared code is on its path: what is not staged is not there.
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": name,
                "PYTHONPATH": os.pathsep.join([str(installed), str(beam.packages())]),
                "PYTHONWARNINGS": "ignore",
                "OMP_NUM_THREADS": "1",
                "STORAGE_EMULATOR_HOST": self._plane.storage.url_of(self.account),
            }
            said, errors, status = self._ran([sys.executable, "-P", str(WORKER), "pipeline.pb"], folder, environment)
        if status != 0:
            raise Failed(errors.strip() or f"A worker ended with status {status}.")
        found: list[dict[str, Any]] = json.loads(said.splitlines()[-1])
        return found

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _installed(self, folder: Path) -> Path:
        """What the machines install of our own; what requirements.txt has is here already, at the same versions."""
        place, staged = folder / "installed", folder / "staged"
        staged.mkdir()
        for name, data in self.packages.items():
            (staged / name).write_bytes(data)
        wheels = [str(path) for path in staged.glob("*.whl")]
        if wheels:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
            done = self._ran(
                [*pip, "--no-deps", "--no-index", "--target", str(place), *wheels], folder, dict(os.environ)
            )
            if done[2] != 0:
                raise Failed(done[1])
        return place

    def _ran(self, command: list[str], folder: Path, environment: dict[str, str]) -> tuple[str, str, int]:
        with self._lock:
            if self._is_stopped:
                raise Failed("The job was cancelled.")
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
        said, errors = self._process.communicate()
        return said, errors, self._process.returncode
