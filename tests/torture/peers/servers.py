"""Who is compared: how each is started, and what of its own options is set."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.emulator.function import flags_environment
from deploy.environments import made
from deploy.project import FUNCTIONS
from tests.benchmarks.memory import tree
from tests.running import DEADLINE_S, clean_environment, free_port
from tests.torture.load import asking, once
from tests.torture.peers.source import SLOW_S, Source
from tests.torture.place import Place

HERE = Path(__file__).parent

#: What every server answers.
NOTHING = {"data": "wait 0"}


#: Makes a program the first process of a room of its own, as in a container: signals that it does not handle do not
#: reach it, and all that it has started ends with it.
_CONTAINED = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


@dataclass
class Running:
    """A server's first process, in a session of its own."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    contained: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def first(self) -> int:
        """The process that the platform sends its signals to."""
        if not self.contained:
            return self.pid
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def processes(self) -> set[int]:
        """All of it that lives."""
        return set(tree(self.pid))

    def end(self) -> None:
        """Kills what is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def predicts(self) -> bool:
        return once(self.port, asking(value=NOTHING)).status == 200

    def wait_for_port(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.005)
            else:
                return
        raise RuntimeError(f"the server does not listen:\n{self.log.read_text(errors='replace')[-2000:]}")

    def wait(self) -> None:
        """Until it predicts."""
        self.wait_for_port()
        deadline = time.monotonic() + DEADLINE_S
        while not self.predicts():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server does not predict:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


@dataclass(frozen=True)
class Server:
    """One that is compared.

    Args:
        options: what of its own it is told about limits.
        command: for a port.
        variables: its environment.
        room: the variable that says how many requests may wait for the model; None where nothing does.
    """

    name: str
    options: str
    command: Callable[[int], list[str]]
    variables: dict[str, str]
    room: str | None = None

    @contextmanager
    def started(
        self, place: Place, more: Mapping[str, str] | None = None, *, contained: bool = False
    ) -> Iterator[Running]:
        """Args: more: variables."""
        around = [*_CONTAINED, *([] if os.geteuid() == 0 else ["--map-root-user"])] if contained else []
        port = free_port()
        log = place.logs / f"peer-{self.name.split()[0]}-{port}.log"
        environment = clean_environment(**{**self.variables, **(more or {})})
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [*around, *self.command(port)],
                cwd=place.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(port, process, log, contained)
        try:
            yield running
        finally:
            running.end()


OURS, BARE, LITSERVE, BENTOML = "ours", "bare function", "LitServe 0.2.19", "BentoML 1.4.39"


def servers(place: Place, source: Source) -> list[Server]:
    """Ours first."""
    ours, folder = made(FUNCTIONS / "tabular") / "bin", place.staged("tabular")
    deployed = {name: value for name, value in flags_environment("tabular").items() if not name.startswith("ACCESS")}
    given = {"MODEL_URL": source.url, "PYTHONPATH": str(HERE)}

    def framework(main: Path) -> Callable[[int], list[str]]:
        return lambda port: [
            *(str(ours / "functions-framework"), "--target", "predict", "--source", str(main)),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]

    lit, bento = made(HERE / "litserve") / "bin", made(HERE / "bentoml") / "bin"
    return [
        Server(
            OURS,
            "as deployed, open as they are; bodies ≤ 8 MiB",
            framework(folder / "main.py"),
            place.settings(**deployed, MODEL_NAME="waiting", MAX_BODY_BYTES=str(8 << 20)),
            "MAX_WAITING",
        ),
        Server(BARE, "functions-framework has none", framework(HERE / "bare" / "main.py"), given),
        Server(
            LITSERVE,
            "max_payload_size 8 MiB, timeout 30 s",
            lambda port: [str(lit / "python"), str(HERE / "litserve" / "server.py"), str(port)],
            given,
        ),
        Server(
            BENTOML,
            "max_concurrency 32, timeout 30 s",
            lambda port: [
                *(str(bento / "bentoml"), "serve", "service:Served", "--working-dir", str(HERE / "bentoml")),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            given | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(place.folder / "bentoml")},
            "MAX_CONCURRENCY",
        ),
    ]


@contextmanager
def slowly(server: Server, place: Place, source: Source) -> Iterator[None]:
    """While it is entered, the server's model takes SLOW_S to come."""
    if server.name == OURS:
        place.bucket.fault("read", "*wrapper.dill*", latency=SLOW_S, times=None)
    else:
        source.slow_s = SLOW_S
    try:
        yield
    finally:
        place.bucket.heal()
        source.slow_s = 0.0


def fetched(server: Server, place: Place, source: Source) -> int:
    """How often its model has been fetched so far."""
    if server.name != OURS:
        return source.fetched
    return place.bucket.count("read", "*wrapper.dill*")
