"""One instance of a function as the platform runs it: a functions-framework process over the staged folder."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from model_functions.errors import FunctionUnreachable

START_DEADLINE_S = 60
#: A function finishes what it runs within 8.5 s.
STOP_DEADLINE_S = 9
_PR_SET_PDEATHSIG = 1


class Instance:
    """Starts once, and is stopped or dies once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_flight = 0
        self.last_used = time.monotonic()
        self.is_ready = False
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    @property
    def is_alive(self) -> bool:
        """Until it has died; one that starts still is."""
        return self._process is None or self._process.returncode is None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def is_idle(self, idle_timeout_s: float) -> bool:
        return self.is_ready and not self.in_flight and time.monotonic() - self.last_used > idle_timeout_s

    async def start(self, program: Path, folder: Path, environment: Mapping[str, str]) -> None:
        """Raises FunctionUnreachable where it does not answer."""
        self._port = _free_port()
        self._process = await asyncio.create_subprocess_exec(
            program,
            *("--target", "predict", "--source", "main.py", "--host", "127.0.0.1", "--port", str(self._port)),
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Its own group, so that Ctrl-C reaches the emulator alone, which then stops the functions in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        if self._process.stdout is not None:
            self._logs = asyncio.create_task(self._relay_logs(self._process.stdout))
        await self._until_it_answers(self._process)
        self.last_used = time.monotonic()
        self.is_ready = True

    async def stop(self) -> None:
        self.is_ready = False
        process = self._process
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
