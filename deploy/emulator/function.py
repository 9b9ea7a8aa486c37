"""One function as the platform runs it: staged, and as many instances of it as its requests need."""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy import environments
from deploy.emulator.instance import Instance
from deploy.project import FUNCTIONS
from deploy.stage import stage
from model_functions.errors import FunctionUnreachable
from model_functions.names import function_name


class EmulatedFunction:
    """Starts instances for requests that no other one has room for, and again after they were stopped or died.

    A request goes to the instance that has the fewest, the oldest of those that have equally few. Where none has room
    for it, it waits for the first that gets some; where no more may be started, the function itself refuses too much.

    Args:
        environment: what every function gets; the family's flags.yaml adds its own.
        most: instances at once.
    """

    def __init__(self, family: str, environment: Mapping[str, str], most: int = 1) -> None:
        self.family = family
        self.name = function_name(family)
        self.environment = environment
        self.most = most
        self.concurrency = int(_flags(family).get("--concurrency", 1))
        self.instances: list[Instance] = []
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._staging = asyncio.Lock()
        self._folder: Path | None = None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The address of an instance, for as long as a request is with it. Raises FunctionUnreachable."""
        instance = self._roomiest() or await self._next()
        try:
            yield instance.address
        finally:
            self._leave(instance)

    async def stop_idle(self, idle_timeout_s: float) -> None:
        for instance in [one for one in self.instances if one.is_alive and one.is_idle(idle_timeout_s)]:
            if instance.in_flight:  # it was asked while another one stopped
                continue
            print(f"[{self.name}] stopped after {idle_timeout_s:g} s without a request", flush=True)
            self.instances.remove(instance)
            await instance.stop()

    async def stop(self) -> None:
        for task in self._starting:
            task.cancel()
        instances, self.instances = self.instances, []
        await asyncio.gather(*(instance.stop() for instance in instances))

    def _roomiest(self) -> Instance | None:
        """An instance for one request more, which counts from now on."""
        ready = [one for one in self.instances if one.is_ready and one.is_alive]
        found = min(ready, key=lambda one: one.in_flight, default=None)
        may_start = sum(one.is_alive for one in self.instances) < self.most
        if found is None or (found.in_flight >= self.concurrency and (may_start or self._starting)):
            return None
        found.in_flight += 1
        return found

    async def _next(self) -> Instance:
        """The next one that has room; one is started unless those that start already will have enough."""
        turn: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._start_if_needed()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._leave(turn.result())
            raise

    def _leave(self, instance: Instance) -> None:
        instance.in_flight -= 1
        instance.last_used = time.monotonic()
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():  # who waited has hung up
                self._waiting.popleft()
                continue
            instance = self._roomiest()
            if instance is None:
                self._start_if_needed()
                return
            self._waiting.popleft().set_result(instance)

    def _start_if_needed(self) -> None:
        waiting = sum(not turn.done() for turn in self._waiting)
        alive = [one for one in self.instances if one.is_alive]
        if len(alive) < self.most and waiting > len(self._starting) * self.concurrency:
            dead = [one for one in self.instances if not one.is_alive]
            instance = Instance(self.name)
            self.instances = [*alive, instance]
            task = asyncio.create_task(self._start(instance, dead, is_first=not alive))
            self._starting.add(task)

    async def _start(self, instance: Instance, dead: list[Instance], is_first: bool) -> None:
        started = time.monotonic()
        try:
            folder = await self._staged(dead, anew=is_first)
            programs = await asyncio.to_thread(self._programs)
            await instance.start(programs / "functions-framework", folder, self._environment())
            print(f"[{self.name}] started in {time.monotonic() - started:.1f} s", flush=True)
        except Exception as exc:  # noqa: BLE001 - whatever it was, those that wait are told
            if instance in self.instances:
                self.instances.remove(instance)
            self._give_up(exc)
        finally:
            self._starting = {task for task in self._starting if task is not asyncio.current_task()}
            self._hand_out()

    async def _staged(self, dead: list[Instance], anew: bool) -> Path:
        """The function's folder; what instances run over is not written again."""
        async with self._staging:
            for one in dead:
                await one.stop()
            if anew or self._folder is None:
                self._folder = await asyncio.to_thread(stage, self.family)
            return self._folder

    def _give_up(self, reason: Exception) -> None:
        """Where others are there or start, those that wait have a chance still."""
        if any(one.is_alive for one in self.instances):
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(reason)

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


def flags_environment(family: str) -> dict[str, str]:
    """The variables that the family's flags.yaml sets at deployment."""
    return {name: str(value) for name, value in _flags(family).get("--update-env-vars", {}).items()}


def _flags(family: str) -> dict[str, Any]:
    flags: dict[str, Any] = yaml.safe_load((FUNCTIONS / family / "flags.yaml").read_text())
    return flags
