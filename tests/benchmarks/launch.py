"""One cold start: a process is executed, and its first complete 200 is waited for."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import DEADLINE_S, clean_environment

#: Between two looks for the port.
POLL_S = 0.002
#: Between two requests to a server that accepts before it can answer.
REFUSED_S = 0.01
PATIENCE_S = 120.0
#: For the end of a contender's workers.
SETTLING_S = 2.0


@dataclass(frozen=True)
class Launch:
    """What to execute and what to ask it; ``{port}`` and ``{port+1}``, ``{port+2}`` stand for free ports."""

    command: list[str]
    folder: Path
    path: str
    body: bytes
    environment: dict[str, str] = field(default_factory=dict)

    def at(self, port: int) -> tuple[list[str], dict[str, str]]:
        ports = {"{port}": str(port), "{port+1}": str(free_port()), "{port+2}": str(free_port())}
        return (
            [ports.get(word, word) for word in self.command],
            clean_environment(**{name: ports.get(value, value) for name, value in self.environment.items()}),
        )


@dataclass(frozen=True)
class FirstAnswer:
    """A complete 200.

    Args:
        seconds: from just before exec until the answer is complete.
        accepting: from there until the port accepted.
        refused: requests that were answered with something else before.
    """

    seconds: float
    accepting: float
    refused: int
    server_timing: str
    body: bytes


class Started:
    """A running contender; ``pid`` is its first process."""

    def __init__(self, launch: Launch, log: Path) -> None:
        self.launch = launch
        self.log = log
        self.port = free_port()
        command, environment = launch.at(self.port)
        with open(log, "wb") as output:
            self.began = time.perf_counter()
            # A session of its own, so that its end takes its workers along.
            self._process = subprocess.Popen(
                command,
                cwd=launch.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def first_answer(self) -> FirstAnswer:
        """Asks from the moment the port accepts until a 200 comes. Raises RuntimeError with the process's words."""
        accepting, refused, problem = 0.0, 0, "the port never accepted"
        while time.perf_counter() < self.began + PATIENCE_S:
            if self._process.poll() is not None:
                problem = "the process ended"
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
                    accepting = accepting or time.perf_counter() - self.began
                    status, timing, body = ask(connection, self.launch.path, self.launch.body)
            except (OSError, http.client.HTTPException):
                time.sleep(POLL_S)
                continue
            if status == 200:
                return FirstAnswer(time.perf_counter() - self.began, accepting, refused, timing, body)
            refused, problem = refused + 1, f"{status} {body[:300].decode(errors='replace')}"
            time.sleep(REFUSED_S)
        raise RuntimeError(f"{problem}: {complaint(self.log)}\n{last_lines(self.log)}")

    def wait_for_port(self) -> None:
        """Raises RuntimeError when the port does not accept in time."""
        while time.perf_counter() < self.began + PATIENCE_S:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(POLL_S)
            else:
                return
        raise RuntimeError(f"the port never accepted: {complaint(self.log)}\n{last_lines(self.log)}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        end_session(self.pid)


def ask(connection: socket.socket, path: str, body: bytes) -> tuple[int, str, bytes]:
    """The status, the Server-Timing and the body of one POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    response = http.client.HTTPResponse(connection)
    response.begin()
    answer = response.read()
    return response.status, response.getheader("Server-Timing") or "", answer


@contextmanager
def started(launch: Launch, log: Path) -> Iterator[Started]:
    log.parent.mkdir(parents=True, exist_ok=True)
    contender = Started(launch, log)
    try:
        yield contender
    finally:
        contender.stop()


def end_session(pid: int) -> None:
    """Waits for what is left of the process's own group: the next contender has the machine alone."""
    deadline = time.monotonic() + SETTLING_S
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(REFUSED_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def complaint(log: Path) -> str:
    """The last error that the process wrote down."""
    errors = [
        line for line in log.read_text(errors="replace").splitlines() if re.match(r"[\w.]*(Error|NotFound)", line)
    ]
    return errors[-1] if errors else "it says nothing of an error"
