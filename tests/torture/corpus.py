"""The corpus of bad inputs, asked of real functions over sockets: each family, each protocol, both edges.

Of every entry it is checked that its status and code are the documented ones, that a refusal has its protocol's shape
and tells nothing of the inside, that it comes within a quarter of a second, that the same process then still predicts
what it did before, that the log has one valid line of it, and that what is refused asks nothing of the store.
"""

import json
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import quote, urlsplit

from deploy.proving import proof
from model_functions.access.keys import KEYS_NAME, KIND
from model_functions.names import is_model_name
from model_functions.store import NEW
from tests import described_models
from tests.bad_inputs import bodies, images, keys, models, names, tables, texts, wires
from tests.bad_inputs.entries import GOOD, LIMIT, Asked, Raw, Told, Wire, kind_of
from tests.bad_inputs.protocols import PROTOCOLS, STATUSES, Protocol
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES, ROOT, Process
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.processes import worker
from tests.torture.raising import publish_raising
from tests.torture.sockets import Reply, exchange

#: Every so many pairs of an entry and a protocol one is asked, another one of each family on each edge.
LENGTHS = {"ci": 60, "short": 40, "full": 1}

#: Families of the shortest run, one of each kind of data.
FEW = ("text_generation", "image_classification", "tabular", "onnx")

#: Seconds that an answer may take, and how often it is asked again where it took longer: the machine may be busy.
QUICK_S, TRIES = 0.25, 3
#: MiB by which a function may have grown at the end, and at any time, beyond what good requests of the same size take;
#: and while eight callers whom nobody knows send 30 MB each.
GROWTH, PEAK, UNKNOWN = 32, 64, 40
_TIMEOUT_S = 30
#: Of each function.
THREADS = 16

#: Folders below which this project, its packages and its interpreter lie, and what may lie elsewhere.
_PLACES = {Path(place).resolve().parts[1] for place in (ROOT, sys.prefix, sys.base_prefix)} | {"tmp", "home", "usr"}

#: What no answer may tell: where we are, in what words we think.
_LEAKS = re.compile(
    f"/({'|'.join(map(re.escape, sorted(_PLACES)))})/|".encode()
    + rb"Traceback|site-packages|\.py\b|model_functions|object at 0x|<class|gs://models|Wrapper|"
    rb"\b(Key|Value|Type|Index|Attribute|Runtime|Assertion|Recursion|Memory|Unicode\w+|OS|IO|Overflow)Error\b"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass
class Findings:
    """What went wrong, in words."""

    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    growth: float = 0.0
    peak: float = 0.0
    unknown: float = 0.0


class Question(NamedTuple):
    """A request, and what it must be told.

    Args:
        path: of a prediction; quoted.
        body: None: of the entry's data and parameters.
    """

    protocol: Protocol
    entry: Raw | Asked
    path: str
    told: Told
    body: bytes | None = None


class Served:
    """A function under test.

    Args:
        family: whose model it serves, which is called as the family with ``_model`` behind it.
        proof: headers of who may ask.
    """

    def __init__(
        self, family: str, edge: str, running: tuple[str, Process], bucket: FakeBucket, found: Findings, proof: str = ""
    ) -> None:
        url, self.process = running
        self.family, self.edge, self.bucket, self.found = family, edge, bucket, found
        self.model = f"{family}_model"
        parts = urlsplit(url)
        self.address = parts.hostname or "", parts.port or 0
        self.good = json.dumps({"model_name": self.model, "data": GOOD[family]}).encode()
        self._proof = {"X-Api-Key": proof} if proof else {}
        self._connection: socket.socket | None = None
        self._ids = list[str]()
        self._unlogged = set[str]()
        self.pid = worker(self.process.process.pid)
        self._prediction = self._predict()
        self._fill()
        self.remember_memory()
        self._calls = len(bucket.calls)

    def _fill(self) -> None:
        """Lets each thread answer large requests: what glibc keeps of them for the next is not the corpus's."""
        proof = "".join(f"{name}: {value}\r\n" for name, value in self._proof.items())
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {LIMIT}\r\n"
        lists = b"[" + b"[]," * 80 + b'"' + b"a" * (LIMIT - 1024) + b'"]'
        sent = f"{head}{proof}\r\n".encode() + lists.ljust(LIMIT)

        def send(_: int) -> None:
            with socket.create_connection(self.address, _TIMEOUT_S) as connection:
                exchange(connection, sent)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(send, range(4 * THREADS)))

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """A request on the connection that the last one left open."""
        lines = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))} | dict(headers)
        return self.ask_lines(f"{method} {target}", list(lines.items()), body)

    def ask_lines(self, start: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        for _ in range(2):
            number = f"{self.family}-{self.edge}-{len(self._ids)}"
            lines = "".join(f"{name}: {value}\r\n" for name, value in [*headers, ("X-Request-Id", number)])
            sent = f"{start} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
            connection = self._connection or socket.create_connection(self.address, _TIMEOUT_S)
            self._connection = None
            reply = exchange(connection, sent)
            if reply.status:
                self._ids.append(number)
                if not reply.headers.get("x-request-id"):
                    self._unlogged.add(number)
            if reply.status and "close" not in reply.headers.get("connection", "").lower():
                self._connection = connection
            else:
                connection.close()
            if reply.status:
                break
        return reply

    def send(self, wire: Wire, told: Told) -> Reply:
        """The first answer on a connection of its own, and how many there are."""
        with socket.create_connection(self.address, _TIMEOUT_S if told.statuses else QUICK_S) as connection:
            return exchange(connection, wire.sent(self.good), to_the_end=True, ends=wire.ends)

    def check_alive(self, what: str) -> None:
        """The canary: the same process predicts what it did, and the store was not asked."""
        calls = [call.object or call.path for call in self.bucket.calls[self._calls :]]
        self._calls += len(calls)
        if calls:
            self.found.calls.append(f"{self}: {what}: {calls[:3]}")
        if self._predict() != self._prediction:
            self.found.canaries.append(f"{self}: {what}: another prediction")
        pid = worker(self.process.process.pid)
        if pid != self.pid:
            self.found.canaries.append(f"{self}: {what}: another process")
            self.pid = pid

    def expect_calls(self) -> None:
        """What the store was asked since is as it must be."""
        self._calls = len(self.bucket.calls)

    def remember_memory(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self._memory = _memory(self.pid)["VmRSS"]

    def growth(self) -> tuple[float, float]:
        """MiB since then: now, and at the most."""
        memory = _memory(self.pid)
        return memory["VmRSS"] - self._memory, memory["VmHWM"] - self._memory

    def finish(self) -> None:
        """Looks at the memory and at the log."""
        now, most = self.growth()
        self.found.growth, self.found.peak = max(self.found.growth, now), max(self.found.peak, most)
        if self._connection is not None:
            self._connection.close()
        time.sleep(0.2)
        told: dict[str, int] = {}
        for line in list(self.process.lines):
            number = self._line(line)
            if number is not None:
                told[number] = told.get(number, 0) + 1
        for number in self._ids:
            if told.get(number, 0) != (0 if number in self._unlogged else 1):
                self.found.lines.append(f"{self}: {told.get(number, 0)} lines of the request {number}")

    def _line(self, line: str) -> str | None:
        """The request of whose answer a line of the log tells."""
        if _CONTROL.search(line):
            self.found.lines.append(f"{self}: control characters: {line[:200]!r}")
        try:
            entry = json.loads(line)
        except ValueError:
            self.found.lines.append(f"{self}: no JSON: {line[:200]}")
            return None
        return entry.get("request_id") if "httpRequest" in entry else None

    def _predict(self) -> Any:
        reply = self.ask("POST", "/predict", self._proof, self.good)
        return reply.status, json.loads(reply.body).get("body") if reply.status == 200 else reply.body[:200]

    def __str__(self) -> str:
        return f"{self.family} by {self.edge}"


def _memory(pid: int) -> dict[str, float]:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}


def run(length: str, place: Place) -> Sequence[Bar]:
    families = FEW if length == "ci" else described_models.FAMILIES
    with patch.object(proof, "_in_a_fresh_process", proof.examine_here):
        described_models.publish_all(place.repository, place.key, place.folder / "described", families)
    publish_raising(place)
    found, stride = Findings(), int(LENGTHS[length])
    for number, family in enumerate(families):
        for edge_number, edge in enumerate(EDGES):
            # In a shorter run each family is served by one of them, and but one by both.
            if length != "full" and edge_number != number % 2 and family != "tabular":
                continue
            with place.function(family, edge, **_environment(MODEL_NAME=f"{family}_model")) as running:
                served = Served(family, edge, running, place.bucket, found)
                ask_all(served, stride, 7 * number + 3 * edge_number)
                if length == "full" or family == "tabular":
                    send_all(served, heavy=length == "full")
                if family == "tabular":
                    fail_all(served)
                served.finish()
    prove_all(place, found)
    return _bars(found)


def _environment(**more: str) -> dict[str, str]:
    return {
        "MAX_BODY_BYTES": str(LIMIT),
        "BODY_TIMEOUT_SECONDS": "1",
        "ALLOWED_ORIGINS": wires.ORIGINS,
        "THREADS": str(THREADS),
        # What bodies may take, and what is kept of them, is a part of it.
        "MEMORY_LIMIT": "1Gi",
        # What asks the store is then the entry itself.
        "MODEL_REFRESH_SECONDS": "0",
    } | more


def _bars(found: Findings) -> list[Bar]:
    lists = {
        "answers of another status, code or shape": found.wrong,
        f"answers after more than {QUICK_S * 1000:.0f} ms": found.slow,
        "answers that tell of the inside, or of a key": found.leaks,
        "canaries that died, or predicted something else": found.canaries,
        "lines of the log that are missing, double or broken": found.lines,
        "calls of the store for what is refused": found.calls,
        "pickles that were opened": ["one"] if bodies.MARKER.exists() else [],
    }
    for what, told in lists.items():
        for one in told[:20]:
            print(f"{what}: {one[:400]}")
    return [
        Bar("entries asked", "500", str(found.asked), found.asked >= 500),
        *(Bar(what, "0", str(len(told)), not told) for what, told in lists.items()),
        Bar("memory at the end", f"+{GROWTH} MiB", f"{found.growth:+.0f} MiB", found.growth <= GROWTH),
        Bar("memory at the most", f"+{PEAK} MiB", f"{found.peak:+.0f} MiB", found.peak <= PEAK),
        Bar("memory of 8 × 30 MB of nobody", f"+{UNKNOWN} MiB", f"{found.unknown:+.0f} MiB", found.unknown <= UNKNOWN),
    ]


def ask_all(served: Served, stride: int, offset: int) -> None:
    """One of so many questions."""
    for number, question in enumerate(_questions(served)):
        if number % stride == offset % stride:
            _ask(served, question)


def _questions(served: Served) -> Iterator[Question]:
    for protocol in PROTOCOLS:
        if protocol.asks(served.family):
            for entry in _entries(served.family, protocol):
                code = entry.code
                told = Told((protocol.status(code),), code) if code else Told((200, protocol.invalid))
                body = entry.body if isinstance(entry, Raw) else None
                yield Question(protocol, entry, protocol.at(served.model), told, body)
            yield from _named(served, protocol)


def _entries(family: str, protocol: Protocol) -> Iterator[Raw | Asked]:
    kind = kind_of(family)
    raw = [*bodies.BODIES, *bodies.NO_OBJECTS, *([] if protocol.has_nan else bodies.NOT_FINITE)]
    if family == "onnx":
        raw += [*bodies.BINARY, *tables.RECORDS]
    for one in raw:
        if kind in one.kinds and one.protocols in (None, (protocol.name,)):
            yield one
    for two in {"text": texts.TEXTS, "image": images.IMAGES, "row": tables.ROWS, "tensor": tables.TENSORS}[kind]:
        ours = two.families is None or family in two.families
        if ours and (two.protocols is None or protocol.name in two.protocols):
            yield two


def _named(served: Served, protocol: Protocol) -> Iterator[Question]:
    """The names and paths that are none."""
    in_path = "{}" in protocol.path
    for name in [*names.NAMES, *names.ADDRESSES, *([] if in_path else names.LONG_NAMES)]:
        # With a slash it is more than one part of a path: to TorchServe a name and a version.
        either = in_path and set("/:") & set(name)
        # Flask's router takes no line's end for a part of a path.
        by_server = in_path and "\n" in name and served.edge == "flask"
        asked = Asked(f"C093 the name {name[:40]!r}", GOOD[served.family])
        body = json.dumps(protocol.body(served.family, name, asked.data, {})).encode()
        told = Told((404, 405) if either else (404,), None if either or by_server else "model_not_found")
        yield Question(protocol, asked, protocol.path.format(quote(name, safe="")), told, body)
    if in_path:
        for path in names.PATHS:
            entry = Asked(f"C025 {path} behind a model")
            yield Question(protocol, entry, protocol.at(served.model) + path, Told((404,), "not_found"), b"{}")


def _ask(served: Served, question: Question) -> None:
    protocol, entry, path, told, body = question
    if body is None:
        assert isinstance(entry, Asked)
        body = json.dumps(protocol.body(served.family, served.model, entry.data, entry.parameters)).encode()
    headers = {name.title(): value for name, value in entry.headers.items()}
    reply = served.ask("POST", path, headers, body)
    for _ in range(TRIES - 1):
        if reply.seconds > QUICK_S:
            reply = min(reply, served.ask("POST", path, headers, body), key=lambda one: one.seconds)
    what = f"{protocol.name}: {entry.id}"
    if reply.seconds > QUICK_S:
        served.found.slow.append(f"{served}: {what}: {reply.seconds:.2f} s")
    if told.code is None and reply.status in (400, 422):
        told = Told(told.statuses, "invalid_input")
    check(served, reply, told, protocol, what)
    if reply.headers.get("x-error-code") == "model_not_found" and _is_well_formed(entry.id):
        # Whether there is such a model, the store must say.
        served.expect_calls()
    served.check_alive(what)


def _is_well_formed(what: str) -> bool:
    """Whether the entry is about a name that a model could have."""
    name = what.partition("the name '")[2].removesuffix("'").partition("/")[0]
    return is_model_name(name)


def check(served: Served, reply: Reply, told: Told, protocol: Protocol | None, what: str) -> None:
    """The status, the code, the shape, and that nothing is told of the inside."""
    found, shown = served.found, f"{served}: {what}: {reply.status} {reply.body[:160]!r}"
    found.asked += 1
    if _LEAKS.search(reply.body):
        found.leaks.append(shown)
    if reply.status not in (told.statuses or (0,)):
        found.wrong.append(f"{shown}, instead of {told.statuses or 'silence'}")
        return
    if told.statuses and told.count != reply.answers:
        found.wrong.append(f"{shown}: {reply.answers} answers instead of {told.count}")
    for name, value in told.headers.items():
        if reply.headers.get(name) != value:
            found.wrong.append(f"{shown}: {name} is {reply.headers.get(name)!r}, instead of {value!r}")
    if told.code is None:
        return
    if reply.headers.get("x-error-code") != told.code:
        found.wrong.append(f"{shown}: the code is {reply.headers.get('x-error-code')}, instead of {told.code}")
    if not reply.headers.get("x-request-id") or reply.headers.get("content-type") != "application/json":
        found.wrong.append(f"{shown}: no request id, or no JSON")
    elif protocol is not None and not _message(reply, protocol):
        found.wrong.append(f"{shown}: not in the shape of {protocol.name}")


def _message(reply: Reply, protocol: Protocol) -> bool:
    try:
        message = protocol.message(json.loads(reply.body))
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(message, str) and bool(message)


def fail_all(served: Served) -> None:
    """Whatever a model may do instead of predicting; each of them once, in our own protocol."""
    [protocol] = [one for one in PROTOCOLS if one.name == "predict"]
    loaded = served.ask("POST", "/predict", {}, b'{"model_name": "raising", "data": "say nothing"}')
    check(served, loaded, Told((200,)), protocol, "a model that raises, loaded")
    served.expect_calls()
    for entry in models.FAILURES:
        assert entry.code is not None
        body = json.dumps(protocol.body(served.family, "raising", entry.data, {})).encode()
        _ask(served, Question(protocol, entry, protocol.path, Told((protocol.status(entry.code),), entry.code), body))


def send_all(served: Served, *, heavy: bool) -> None:
    """Every connection of the corpus.

    Args:
        heavy: those too that take seconds by what they are.
    """
    for wire in wires.WIRES:
        if wire.takes is not None and wire.takes > 5 and not heavy:
            continue
        told = wire.asgi if wire.asgi is not None and served.edge == "asgi" else wire.flask
        reply = served.send(wire, told)
        if told.statuses and reply.seconds > (wire.takes or QUICK_S):
            reply = served.send(wire, told)
        if told.statuses and reply.seconds > (wire.takes or QUICK_S):
            served.found.slow.append(f"{served}: {wire.id}: {reply.seconds:.2f} s")
        check(served, reply, told, None, wire.id)
        if wire.lacks is not None and wire.lacks in reply.body + repr(reply.headers).encode():
            served.found.leaks.append(f"{served}: {wire.id}: {reply.body[:160]!r}")
        served.check_alive(wire.id)


def prove_all(place: Place, found: Findings) -> None:
    """Who asks, and what it may, in every protocol."""
    made = keys.Keys.made()
    place.repository.store.write(KEYS_NAME, place.key.sign(KIND, made.listed.document()), generation=NEW)
    for edge in EDGES:
        with place.function("tabular", edge, **_environment(ACCESS="keys")) as running:
            served = Served("tabular", edge, running, place.bucket, found, made.texts["good"])
            for protocol in PROTOCOLS:
                if protocol.asks("tabular"):
                    for entry in keys.PROOFS:
                        _prove(served, protocol, entry, made.texts)
            for method, path, without, predicting in keys.DOORS:
                for status, proof_of in ((without, {}), (predicting, {"X-Api-Key": made.texts["good"]})):
                    reply = served.ask(method, path, proof_of, b"")
                    check(served, reply, Told((status,)), None, f"{method} {path}, {len(proof_of)} keys")
                    served.expect_calls()
            _send_much(served)
            served.finish()
        text = "\n".join(running[1].lines)
        found.leaks.extend(f"{edge}: the {what} key in the log" for what, key in made.texts.items() if key in text)


def _prove(served: Served, protocol: Protocol, entry: keys.Proof, texts_of: dict[str, str]) -> None:
    model = entry.model or served.model
    body = json.dumps(protocol.body(served.family, model, GOOD[served.family], {})).encode()
    path = protocol.at(model) + entry.query(texts_of)
    headers = [("Host", "x"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    for _ in range(entry.times):
        reply = served.ask_lines(f"POST {path}", [*headers, *entry.headers(texts_of)], body)
    told = Told((STATUSES[entry.code] if entry.code else 200,), entry.code)
    what = f"{protocol.name}: {entry.id}"
    check(served, reply, told, protocol, what)
    demanded = {401: "www-authenticate", 429: "retry-after"}.get(reply.status)
    if demanded is not None and demanded not in reply.headers:
        served.found.wrong.append(f"{served}: {what}: no {demanded}")
    if any(key.encode() in reply.body for key in texts_of.values()):
        served.found.leaks.append(f"{served}: {what}: {reply.body[:160]!r}")
    served.check_alive(what)


def _send_much(served: Served) -> None:
    """Eight callers whom nobody knows send 30 MB each: they are refused, and nothing of it is kept."""
    served.remember_memory()
    block = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = head + block * 916 + b"0\r\n\r\n"

    def send(_: int) -> Reply:
        with socket.create_connection(served.address, _TIMEOUT_S) as connection:
            return exchange(connection, sent)

    with ThreadPoolExecutor(8) as pool:
        for reply in pool.map(send, range(8)):
            check(served, reply, Told((401,), "unauthenticated"), None, "C014 30 MB of nobody")
    served.found.unknown = max(served.found.unknown, served.growth()[1])
    served.check_alive("C014 30 MB of nobody")
