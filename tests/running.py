"""Real processes for tests: the emulator, and functions-framework over a staged folder."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DEADLINE_S = 60

#: What tests ask is on this machine; urlopen keeps to the proxy that the first who used it had in his environment.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


def call(url: str, data: bytes | None = None, method: str | None = None, **headers: str) -> Answer:
    """One HTTP request; an error status is an answer like any other."""
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with DIRECT.open(request, timeout=DEADLINE_S) as response:
            return Answer(response.status, response.read(), lower(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), lower(error.headers))


def lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Process:
    """A process whose lines are kept."""

    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, start: str) -> str:
        """The first line that starts so."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if line.startswith(start):
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no line starts with {start!r}:\n" + "\n".join(self.lines))

    def stop(self) -> int:
        """Asks it to end, and gives its exit status."""
        self.process.terminate()
        status = self.process.wait(DEADLINE_S)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def clean_environment(**more: str) -> dict[str, str]:
    """Nothing of this project, and nothing of the tests, in the way of the process."""
    ours = (
        "PYTHONPATH",
        "MODEL_",
        "ACCESS",
        "FUNCTION_USE_ASGI",
        "THREADS",
        "FUNCTIONS_URL",
        "K_SERVICE",
        "PORT",
        "STORAGE_EMULATOR_HOST",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def emulator(store: str | Path, *arguments: str, **environment: str) -> Iterator[tuple[str, Process]]:
    """``python -m deploy emulate`` on a free port: its address and its process."""
    command = [sys.executable, "-m", "deploy", "emulate", "--port", "0", *arguments]
    process = Process(command, ROOT, clean_environment(MODEL_STORE=str(store), **environment))
    try:
        yield process.wait_for("Ready").split()[1], process
    finally:
        process.stop()


#: Which edge functions-framework serves by, and we with it.
EDGES = {"flask": {"FUNCTION_USE_ASGI": "false"}, "asgi": {"FUNCTION_USE_ASGI": "true"}}


@contextmanager
def function(folder: Path, port: int, **environment: str) -> Iterator[tuple[str, Process]]:
    """``functions-framework`` over a staged folder, started from a folder that knows nothing of the project."""
    with function_on(Path(sys.executable).parent, folder, port, **environment) as running:
        yield running


@contextmanager
def function_on(programs: Path, folder: Path, port: int, **environment: str) -> Iterator[tuple[str, Process]]:
    """The same, with the programs of another environment."""
    command = [
        str(programs / "functions-framework"),
        *("--target", "predict", "--source", str(folder / "main.py")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    process = Process(command, folder.parent, clean_environment(**environment))
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_answers(url, process)
        yield url, process
    finally:
        process.stop()


def until_it_answers(url: str, process: Process) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and process.process.poll() is None:
        try:
            if call(f"{url}/health").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the function does not answer:\n" + "\n".join(process.lines))
