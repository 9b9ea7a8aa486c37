"""The corpus of bad inputs, asked of real functions over sockets: each family, each protocol, both edges.

Of every entry it is checked that its status and code are the documented ones, that a refusal has its protocol's shape and
tells nothing of the inside, that it comes within a quarter of a second, that the same process then still predicts what it
did before, that the log has one valid line of it, and that what is refused asks nothing of the store.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from tests.bad_inputs import bodies, images, names, tables, texts, wires
from tests.bad_inputs.entries import GOOD, LIMIT, Asked, Raw, Told, Wire, kind_of
from tests.bad_inputs.protocols import PROTOCOLS, Protocol
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES, Process, free_port, function

#: One of so many pairs of an entry and a protocol is asked, another one of each family on each edge.
LENGTHS = {"ci": 40, "short": 12, "full": 1}

#: Seconds that an answer may take, and how often it is asked again where it took longer: the machine may be busy.
QUICK_S, TRIES = 0.25, 3
#: MiB that the functions may have grown by at the end, and in between.
GROWTH, PEAK = 32, 64
_TIMEOUT_S, _NEXT_S = 20, 0.05

#: What no answer may tell: where we are, in what words we think, what a caller's key is.
_LEAKS = re.compile(
    rb"Traceback|site-packages|/tmp/|/work/|/home/|/usr/|\.py\b|model_functions|object at 0x|<class|"
    rb"\b(Key|Value|Type|Index|Attribute|Runtime|Assertion|Recursion|Memory|Unicode\w+|OS|IO|Overflow)Error\b|Wrapper"
)


class Reply(NamedTuple):
    """An answer; a status of 0 is none."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    count: int = 1


@dataclass
class Findings:
    """What went wrong, in words, by what it is called in the report."""

    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    growth: float = 0.0
    peak: float = 0.0
    asked: int = 0


class Served:
    """A function under test.

    Args:
        family: whose model it serves, called as the family with ``_model`` behind it.
    """

    def __init__(self, family: str, edge: str, url: str, process: Process, bucket: FakeBucket, found: Findings) -> None:
        self.family, self.edge, self.bucket, self.found, self.process = family, edge, bucket, found, process
        self.model = f"{family}_model"
        parts = urlsplit(url)
        self.address = parts.hostname or "", parts.port or 0
        self._connection: socket.socket | None = None
        self._pid = _worker(process.process.pid)
        self._ids: set[str] = set()
        body = json.dumps({"model_name": self.model, "data": GOOD[family]}).encode()
        self.good = body
        self._prediction = self._predict()
        for _ in range(20):
            self._predict()
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        self._memory = _memory(self._pid)["VmRSS"]
        self._calls = len(bucket.calls)

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """A request on the connection that the last one left open."""
        number = f"{self.family}-{self.edge}-{len(self._ids)}"
        self._ids.add(number)
        lines = {"Host": "x", "Content-Length": str(len(body)), "X-Request-Id": number} | headers
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        sent = f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
        for _ in range(2):
            connection = self._connection or socket.create_connection(self.address, _TIMEOUT_S)
            self._connection = None
            reply = exchange(connection, sent)
            if reply.status and "close" not in reply.headers.get("connection", "").lower():
                self._connection = connection
            else:
                connection.close()
            if reply.status:
                return reply
        return reply

    def send(self, wire: Wire, told: Told) -> Reply:
        """The first answer on a connection of its own, and how many there are."""
        sent = wire.sent(self.good)
        with socket.create_connection(self.address, _TIMEOUT_S if told.statuses else QUICK_S) as connection:
            return exchange(connection, sent, to_the_end=True, ends=wire.ends)

    def check_alive(self, what: str) -> None:
        """The canary: the same process predicts what it did."""
        if self._predict() != self._prediction:
            self.found.canaries.append(f"{self}: {what}: another prediction")
        if _worker(self.process.process.pid) != self._pid:
            self.found.canaries.append(f"{self}: {what}: another process")
            self._pid = _worker(self.process.process.pid)

    def check_store(self, what: str) -> None:
        calls = [call.object or call.path for call in self.bucket.calls[self._calls :]]
        self._calls += len(calls)
        if calls:
            self.found.calls.append(f"{self}: {what}: {calls[:3]}")

    def finish(self) -> None:
        """Looks at the memory and at the log."""
        memory = _memory(self._pid)
        self.found.growth = max(self.found.growth, memory["VmRSS"] - self._memory)
        self.found.peak = max(self.found.peak, memory["VmHWM"] - self._memory)
        if self._connection is not None:
            self._connection.close()
        time.sleep(0.1)
        told: dict[str, int] = {}
        for line in list(self.process.lines):
            number = self._line(line)
            if number is not None:
                told[number] = told.get(number, 0) + 1
        for number in self._ids:
            if told.get(number) != 1:
                self.found.lines.append(f"{self}: {told.get(number, 0)} lines of the request {number}")

    def _line(self, line: str) -> str | None:
        """The request that a line of the log tells the end of."""
        try:
            entry = json.loads(line)
        except ValueError:
            self.found.lines.append(f"{self}: no JSON: {line[:200]}")
            return None
        if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line):
            self.found.lines.append(f"{self}: control characters: {line[:200]!r}")
        return entry.get("request_id") if "status" in entry else None

    def _predict(self) -> Any:
        reply = self.ask("POST", "/predict", {"Content-Type": "application/json"}, self.good)
        return reply.status, json.loads(reply.body).get("body") if reply.status == 200 else reply.body[:200]

    def __str__(self) -> str:
        return f"{self.family} by {self.edge}"


def exchange(connection: socket.socket, sent: bytes, *, to_the_end: bool = False, ends: bool = False) -> Reply:
    """What comes back for the bytes.

    Args:
        to_the_end: whether all is read until the connection ends, or nothing comes for a while.
    """
    started = time.perf_counter()
    received, seconds = b"", 0.0
    try:
        connection.sendall(sent)
        if ends:
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        # Refused while it was sent: the answer may be there.
        pass
    try:
        while block := connection.recv(1 << 16):
            received += block
            seconds = seconds or time.perf_counter() - started
            reply = _parsed(received, sent, seconds)
            if reply is not None and not to_the_end:
                return reply
            if reply is not None:
                # Others may follow, and at once.
                connection.settimeout(_NEXT_S)
    except OSError:
        pass
    seconds = seconds or time.perf_counter() - started
    found = _parsed(received, sent, seconds, ended=True)
    count = len(re.findall(rb"(?:^|\r\n\r\n[^\r]*?)HTTP/1\.[01] [2-5]", received))
    return Reply(0, {}, received, seconds, 0) if found is None else found._replace(count=count)


def _parsed(received: bytes, sent: bytes, seconds: float, *, ended: bool = False) -> Reply | None:
    head, split, rest = received.partition(b"\r\n\r\n")
    if not split:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    if status == 100:
        return _parsed(rest, sent, seconds, ended=ended)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = 0 if status == 204 or sent.startswith(b"HEAD") else int(headers.get("content-length", -1))
    if size < 0 and not ended and not rest.endswith(b"0\r\n\r\n"):
        return None
    if len(rest) < size and not ended:
        return None
    return Reply(status, headers, rest[:size] if size >= 0 else rest, seconds)


def _worker(master: int) -> int:
    """The process that answers: the only child of gunicorn's master."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0]) if children else master


def _memory(pid: int) -> dict[str, float]:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}


def check_reply(reply: Reply, told: Told, protocol: Protocol | None, what: str, found: Findings) -> None:
    """The status, the code, the shape, and that nothing is told of the inside."""
    shown = f"{what}: {reply.status} {reply.body[:160]!r}"
    if (reply.status or None) not in (told.statuses or (None,)) and not (not told.statuses and reply.status == 0):
        found.wrong.append(f"{shown}, instead of {told.statuses or 'silence'}")
        return
    if _LEAKS.search(reply.body):
        found.leaks.append(shown)
    if told.count != reply.count and told.statuses:
        found.wrong.append(f"{shown}, {reply.count} answers instead of {told.count}")
    for name, value in told.headers.items():
        if reply.headers.get(name) != value:
            found.wrong.append(f"{shown}: {name} is {reply.headers.get(name)!r}, instead of {value!r}")
    if told.code is None:
        return
    if reply.headers.get("x-error-code") != told.code:
        found.wrong.append(f"{shown}: the code is {reply.headers.get('x-error-code')}, instead of {told.code}")
    if not reply.headers.get("x-request-id") or reply.headers.get("content-type") != "application/json":
        found.wrong.append(f"{shown}: no request id, or no JSON")
    elif protocol is not None and reply.body:
        try:
            message = protocol.message(json.loads(reply.body))
        except (ValueError, KeyError, TypeError):
            message = None
        if not isinstance(message, str) or not message:
            found.wrong.append(f"{shown}: not in the shape of {protocol.name}")


def requests_of(served: Served) -> Iterator[tuple[Protocol, Raw | Asked, str, Told, Any]]:
    """Each pair of a protocol and an entry that the family is asked: with the target, what it must be told, the body."""
    for protocol in PROTOCOLS:
        if protocol.asks(served.family):
            for entry in _entries(served.family, protocol):
                code = entry.code
                told = Told((protocol.status(code),), code) if code else Told((200, protocol.invalid))
                yield protocol, entry, protocol.at(served.model), told, entry.body if isinstance(entry, Raw) else None
            yield from _named(served, protocol)


def _entries(family: str, protocol: Protocol) -> Iterator[Raw | Asked]:
    kind = kind_of(family)
    raw = [*bodies.BODIES, *bodies.NO_OBJECTS, *([] if protocol.has_nan else bodies.NOT_FINITE)]
    raw += [*bodies.BINARY, *tables.RECORDS] if kind == "tensor" else []
    asked = {"text": texts.TEXTS, "image": images.IMAGES, "row": tables.ROWS, "tensor": tables.TENSORS}[kind]
    for one in raw:
        if kind in one.kinds and one.protocols in (None, (protocol.name,)):
            yield one
    for two in asked:
        ours = two.families is None or family in two.families
        if ours and (two.protocols is None or protocol.name in two.protocols):
            yield two


def _named(served: Served, protocol: Protocol) -> Iterator[tuple[Protocol, Raw | Asked, str, Told, Any]]:
    in_path = "{}" in protocol.path
    for name in [*names.NAMES, *names.ADDRESSES, *([] if in_path else names.LONG_NAMES)]:
        code = "not_found" if in_path and set("/:") & set(name) else "model_not_found"
        told = Told((404,), code)
        asked = Asked(f"C093 the name {name[:40]!r}", GOOD[served.family])
        sent = json.dumps(protocol.body(served.family, name, asked.data, {})).encode()
        yield protocol, asked, protocol.path.format(quote(name, safe="")), told, sent
    if in_path:
        for path in names.PATHS:
            yield protocol, Asked(f"C025 {path}"), protocol.at(served.model) + path, Told((404,), "not_found"), b"{}"


def ask_all(served: Served, stride: int, offset: int) -> None:
    """One of so many requests."""
    found = served.found
    for number, (protocol, entry, target, told, body) in enumerate(requests_of(served)):
        if number % stride != offset % stride:
            continue
        if body is None:
            assert isinstance(entry, Asked)
            body = json.dumps(protocol.body(served.family, served.model, entry.data, entry.parameters)).encode()
        what = f"{served}: {protocol.name}: {entry.id}"
        headers = {"Content-Type": "application/json"} | {name.title(): value for name, value in entry.headers.items()}
        reply = served.ask("POST", target, headers, body)
        for _ in range(TRIES - 1):
            if reply.seconds > QUICK_S:
                reply = min(reply, served.ask("POST", target, headers, body), key=lambda one: one.seconds)
        if reply.seconds > QUICK_S:
            found.slow.append(f"{what}: {reply.seconds:.2f} s")
        if told.code is None and reply.status != 200:
            told = Told(told.statuses, "invalid_input")
        check_reply(reply, told, protocol, what, found)
        found.asked += 1
        served.check_store(what)
        served.check_alive(what)


def send_all(served: Served, *, heavy: bool) -> None:
    """Every connection of the corpus.

    Args:
        heavy: those too that take seconds by what they are.
    """
    found = served.found
    for wire in wires.WIRES:
        if wire.takes is not None and wire.takes > 5 and not heavy:
            continue
        told = wire.asgi if wire.asgi is not None and served.edge == "asgi" else wire.flask
        what = f"{served}: {wire.id}"
        reply = served.send(wire, told)
        if told.statuses and reply.seconds > (wire.takes or QUICK_S):
            found.slow.append(f"{what}: {reply.seconds:.2f} s")
        check_reply(reply, told, None, what, found)
        if wire.lacks is not None and wire.lacks in reply.body + repr(reply.headers).encode():
            found.leaks.append(f"{what}: {reply.body[:160]!r}")
        found.asked += 1
        served.check_store(what)
        served.check_alive(what)


def _try() -> None:
    import sys

    build = Path("/tmp/door/build")
    found = Findings()
    bucket = FakeBucket("models")
    with bucket:
        for path in (build / "store").rglob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                bucket.put(path.relative_to(build / "store").as_posix(), path.read_bytes())
        families = sys.argv[1].split(",")
        for family in families:
            for number, edge in enumerate(sys.argv[2].split(",")):
                environment = {
                    "MODEL_STORE": "gs://models",
                    "STORAGE_EMULATOR_HOST": bucket.url,
                    "MAX_BODY_BYTES": str(LIMIT),
                    "BODY_TIMEOUT_SECONDS": "1",
                    "ALLOWED_ORIGINS": wires.ORIGINS,
                    "THREADS": "16",
                    "MODEL_REFRESH_SECONDS": "0",
                }
                with function(build / family, free_port(), **EDGES[edge], **environment) as (url, process):
                    started = time.time()
                    served = Served(family, edge, url, process, bucket, found)
                    if "wires" in sys.argv[3]:
                        send_all(served, heavy="heavy" in sys.argv[3])
                    if "asked" in sys.argv[3]:
                        ask_all(served, int(sys.argv[4]), number)
                    served.finish()
                    print(family, edge, found.asked, f"{time.time() - started:.1f} s")
    for name in ("wrong", "slow", "leaks", "canaries", "lines", "calls"):
        told = getattr(found, name)
        print(name, len(told))
        for one in told[: int(sys.argv[5]) if len(sys.argv) > 5 else 60]:
            print("   ", one[:330])
    print(found.growth, found.peak, bodies.MARKER.exists())


if __name__ == "__main__":
    _try()
