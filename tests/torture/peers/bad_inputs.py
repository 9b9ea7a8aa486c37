"""The corpus of bad inputs, sent to one path of each server.

What is specific to our own requests is left out, and what a parser is entitled to accept is no fault: counted is what
comes out as 200 although the bytes say that it is not right, what comes out as 500, what never comes out, and who dies.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.bad_inputs import bodies, wires
from tests.bad_inputs.entries import INVALID, Raw
from tests.benchmarks.memory import tree_megabytes
from tests.torture.peers.servers import NOTHING, Running
from tests.torture.sockets import Reply, exchange

#: Without an answer for so long is without an answer: nothing here takes a server a second.
PATIENCE_S = 5.0

#: What a server is right to refuse, and not wrong to take: of JSON, RFC 8259 leaves doubled keys, depth, a byte order
#: mark and half surrogate pairs to it; it may ignore a type or a coding that it has no use for; and how many headers it
#: takes is its own affair.
_LEFT_TO_IT = {
    INVALID,
    "duplicate_key",
    "json_too_deep",
    "unsupported_media_type",
    "not_supported",
    "headers_too_large",
}
_LENIENT = ("C059", "C065", "C073", "D136 half a pair before")


class Entry(NamedTuple):
    """One connection's bytes.

    Args:
        ends: whether the caller then closes its half.
        refused: whether an answer of 200 is wrong.
    """

    id: str
    sent: bytes
    ends: bool
    refused: bool


@dataclass
class Found:
    """Which entries came to what."""

    asked: int = 0
    accepted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    grown: float = 0.0


def entries() -> Iterator[Entry]:
    good = json.dumps(NOTHING).encode()
    for wire in (*wires.FRAMING, *wires.HEADERS, *wires.METHODS):
        told = [*wire.flask.statuses, *(wire.asgi or wire.flask).statuses]
        # What one of our two edges answers with silence, or after a minute of sending, tells little of anybody.
        silent = not wire.flask.statuses or not (wire.asgi or wire.flask).statuses
        if not silent and (wire.takes or 0) <= PATIENCE_S:
            codes = {wire.flask.code, (wire.asgi or wire.flask).code}
            yield Entry(wire.id, wire.sent(good), wire.ends, min(told) >= 400 and not codes & _LEFT_TO_IT)
    for raw in (*bodies.BODIES, *bodies.NO_OBJECTS, *bodies.NOT_FINITE):
        if "text" in raw.kinds and raw.protocols in (None, ("predict",)):
            left = raw.code is None or raw.code in _LEFT_TO_IT or raw.id.startswith(_LENIENT)
            yield Entry(raw.id, _request(raw), False, not left)


def _request(raw: Raw) -> bytes:
    """Under the name that all servers here call their data by."""
    body = raw.body.replace(b'"a"', b'"data"')
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
    } | raw.headers
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /predict HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode("latin-1") + body


def ask(running: Running) -> Found:
    found = Found()
    running.wait()
    before, began = running.processes(), tree_megabytes(running.pid)
    for entry in entries():
        found.asked += 1
        _judge(entry, _answer(running.port, entry), found)
        now = running.processes()
        if before - now or not running.predicts():
            found.died.append(entry.id)
            running.wait()
            now = running.processes()
        before = now
    found.grown = tree_megabytes(running.pid) - began
    return found


def _answer(port: int, entry: Entry) -> Reply:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        return exchange(connection, entry.sent, ends=entry.ends)


def _judge(entry: Entry, reply: Reply, found: Found) -> None:
    if reply.status == 0 and reply.seconds >= PATIENCE_S:
        found.silent.append(entry.id)
    elif reply.status >= 500 and reply.status not in (501, 505):
        found.failed.append(entry.id)
    elif reply.status and reply.status < 300 and entry.refused:
        found.accepted.append(entry.id)
