"""One function as the platform runs it: staged, in its own functions-framework process, started on demand."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import yaml

from deploy import environments
from deploy.project import FUNCTIONS
from deploy.stage import stage
from model_functions.errors import FunctionUnreachable
from model_functions.names import function_name

START_DEADLINE_S = 60
#: A function finishes what it runs within 8.5 s.
STOP_DEADLINE_S = 9
_PR_SET_PDEATHSIG = 1


class EmulatedFunction:
    """Starts at its first request, and again after it was stopped or died.

    Args:
        environment: what every function gets; the family's flags.yaml adds its own.
    """

    def __init__(self, family: str, environment: Mapping[str, str]) -> None:
        self.family = family
        self.name = function_name(family)
        self.environment = environment
        self.in_flight = 0
        self.last_used = time.monotonic()
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._starting = asyncio.Lock()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The function's address, for as long as a request is with it. Raises FunctionUnreachable."""
        self.in_flight += 1
        try:
            async with self._starting:  # the first request starts it, the others wait
                if not self.running:
                    await self._start()
            yield f"http://127.0.0.1:{self._port}"
        finally:
            self.in_flight -= 1
            self.last_used = time.monotonic()

    async def stop_if_idle(self, idle_timeout_s: float) -> None:
        if self.running and not self.in_flight and time.monotonic() - self.last_used > idle_timeout_s:
            print(f"[{self.name}] stopped after {idle_timeout_s:g} s without a request", flush=True)
            await self.stop()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is not None:
            # Its worker may live on.
            _signal_group(process, signal.SIGKILL)
            return
        _signal_group(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_DEADLINE_S)
        except TimeoutError:
            _signal_group(process, signal.SIGKILL)
            await process.wait()

    async def _start(self) -> None:
        started = time.monotonic()
        await self.stop()
        folder = await asyncio.to_thread(stage, self.family)
        programs = await asyncio.to_thread(self._programs)
        self._port = _free_port()
        self._process = await asyncio.create_subprocess_exec(
            programs / "functions-framework",
            *("--target", "predict", "--source", "main.py", "--host", "127.0.0.1", "--port", str(self._port)),
            cwd=folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Its own group, so that Ctrl-C reaches the emulator alone, which then stops the functions in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        if self._process.stdout is not None:
            self._logs = asyncio.create_task(self._relay_logs(self._process.stdout))
        await self._until_it_answers(self._process)
        print(f"[{self.name}] started in {time.monotonic() - started:.1f} s", flush=True)

    def _programs(self) -> Path:
        try:
            return environments.programs(self.family)
        except ValueError as exc:
            raise FunctionUnreachable(f"The function {self.name} cannot start: {exc}", retry_after=5) from exc

    def _environment(self) -> dict[str, str]:
        # Nothing of the repository on the path: the function must live by what was staged.
        inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "K_SERVICE")}
        flags = {name: value for name, value in flags_environment(self.family).items() if not name.startswith("ACCESS")}
        return inherited | {"PYTHONUNBUFFERED": "1"} | flags | dict(self.environment)

    async def _until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if process.returncode is not None:
                break
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                return
            await asyncio.sleep(0.02)
        await self.stop()
        raise FunctionUnreachable(
            f"The function {self.name} did not start. Its lines in the emulator's output say why.", retry_after=5
        )

    async def _relay_logs(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            print(f"[{self.name}] {_for_people(line.decode(errors='replace').rstrip())}", flush=True)


def flags_environment(family: str) -> dict[str, str]:
    """The variables that the family's flags.yaml sets at deployment."""
    flags = yaml.safe_load((FUNCTIONS / family / "flags.yaml").read_text())
    return {name: str(value) for name, value in flags.get("--update-env-vars", {}).items()}


def _for_people(line: str) -> str:
    """A log line's message and time; any other line as it is."""
    try:
        entry = json.loads(line)
        latency = entry.get("httpRequest", {}).get("latency", "").removesuffix("s")
        milliseconds = f" in {float(latency) * 1000:.1f} ms" if latency else ""
        trace = f"\n{entry['stack_trace']}" if "stack_trace" in entry else ""
        return f"{entry['message']}{milliseconds}{trace}"
    except (ValueError, KeyError, TypeError):
        return line


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _die_with_parent() -> None:
    # An emulator that is killed cannot stop its functions; Linux does it then.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
