"""Bytes to a server and back, with no client in between that would tidy them up."""

import re
import socket
import time
from typing import NamedTuple

#: Seconds for which whatever comes behind an answer is waited for: it is there at once, or never.
NEXT_S = 0.05


class Reply(NamedTuple):
    """An answer; a status of 0 is none.

    Args:
        seconds: until it had come.
        answers: how many there are on the connection.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    answers: int = 1


def exchange(connection: socket.socket, sent: bytes, *, to_the_end: bool = False, ends: bool = False) -> Reply:
    """The first answer to the bytes.

    Args:
        to_the_end: whether more than one is waited for.
        ends: whether our half of the connection is closed behind them.
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
            reply = _parsed(received, sent, time.perf_counter() - started)
            if reply is not None and not to_the_end:
                return reply
            if reply is not None:
                connection.settimeout(NEXT_S)
    except OSError:
        pass
    seconds = seconds or time.perf_counter() - started
    found = _parsed(received, sent, seconds, ended=True)
    count = len(re.findall(rb"HTTP/1\.[01] [2-5]\d\d ", received))
    return Reply(0, {}, received, seconds, 0) if found is None else found._replace(answers=count)


def _parsed(received: bytes, sent: bytes, seconds: float, *, ended: bool = False) -> Reply | None:
    """The first answer, if it has come whole."""
    head, split, rest = received.partition(b"\r\n\r\n")
    if not split:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    if status == 100:
        return _parsed(rest, sent, seconds, ended=ended)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = 0 if status == 204 or sent.startswith(b"HEAD") else int(headers.get("content-length", -1))
    whole = len(rest) >= size if size >= 0 else rest.endswith(b"0\r\n\r\n")
    return Reply(status, headers, rest[:size] if size >= 0 else rest, seconds) if whole or ended else None
