"""A sample model's function in the emulator: its real processes, started, asked and stopped as it does it."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from deploy.cloud.costs import Size
from deploy.cloud.flags import Flags
from deploy.project import store_location
from deploy.publisher import open_repository
from model_functions.names import function_name
from model_functions.repository import listing
from tests.benchmarks.warm.client import Client, parsed
from tests.running import Process, emulator


@dataclass(frozen=True)
class Asked:
    """A family's published model, and a question for it."""

    family: str
    model: str
    body: bytes

    @property
    def concurrency(self) -> int:
        return Size.of(Flags.read(self.family).own).concurrency

    @property
    def request(self) -> bytes:
        head = (
            f"POST /{function_name(self.family)}/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def asked(families: list[str]) -> list[Asked]:
    """The first published model of each. Raises SystemExit that says how to publish some."""
    found: dict[str, Asked] = {}
    for _, manifest in listing(open_repository(), "prod"):
        body = json.dumps({"model_name": manifest.name, "data": manifest.examples[0]}).encode()
        found.setdefault(manifest.family, Asked(manifest.family, manifest.name, body))
    missing = [family for family in families if family not in found]
    if missing:
        raise SystemExit(f"No model of {', '.join(missing)} is published. Run: python -m deploy train")
    return [found[family] for family in families]


class Emulated:
    """The emulator, its lines, and a client of its own for each load."""

    def __init__(self, url: str, process: Process, one: Asked) -> None:
        self.port = int(url.rpartition(":")[2])
        self.process, self.one = process, one

    def client(self) -> Client:
        return Client(self.port, [self.one.request], repeat(0))

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def first(self) -> float:
        """Seconds of a request by a connection of its own."""
        with self.connection() as connection:
            return self.ask(connection)

    def ask(self, connection: socket.socket) -> float:
        """Seconds of one request. Raises RuntimeError for an answer that is none."""
        began, received, answer = time.perf_counter(), b"", None
        connection.sendall(self.one.request)
        while answer is None:
            received += connection.recv(65536)
            answer = parsed(received)
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{self.one.model}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        return seconds

    def count(self, what: str) -> int:
        """Lines in which the emulator says so of the function: "started", "stopped"."""
        return sum(line.startswith(f"[{function_name(self.one.family)}] {what}") for line in self.process.lines)

    def until_stopped(self, times: int) -> None:
        while self.count("stopped") < times:
            time.sleep(0.02)


@contextmanager
def emulated(one: Asked, idle_s: float, most: int = 1) -> Iterator[Emulated]:
    arguments = ["--idle-timeout", str(idle_s), "--max-instances", str(most)]
    more = {name: value for name, value in os.environ.items() if name == "MODEL_TRUST"}
    with emulator(Path(store_location()), *arguments, **more) as (url, process):
        yield Emulated(url, process, one)
