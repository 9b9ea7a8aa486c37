"""HTTP to the bucket, kept alive, its bytes read straight into the caller's memory."""

import http.client
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urlsplit

#: Kept open at most; more threads than that work too, and close theirs after use.
KEPT = 32

_PIECE = 64 * 1024


class Response(http.client.HTTPResponse):
    """An answer whose bytes can be had as they come."""

    def readinto1(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As many bytes as are there, by one read of the socket, without a copy in between; 0 at the end.

        Raises IncompleteRead when the connection ends before the answer does.
        """
        if self.isclosed():
            return 0
        wanted = buffer if self.length is None else buffer[: self.length]
        count: int = self.fp.readinto1(wanted)
        if count == 0 and self.length:
            raise http.client.IncompleteRead(b"", self.length)
        if self.length is not None:
            self.length -= count
        if count == 0 or self.length == 0:
            self.close()
        return count

    def read_by(self, deadline: float) -> bytes:
        """All that is left of it. Raises TimeoutError when it comes no faster than that."""
        parts = []
        while part := self.read1(_PIECE):
            parts.append(part)
            if time.monotonic() > deadline:
                raise TimeoutError
        if self.length:
            raise http.client.IncompleteRead(b"", self.length)
        # Nothing is left, and the connection can be used again.
        self.read()
        return b"".join(parts)


class Connections:
    """Connections to one host.

    Args:
        endpoint: ``https://host`` or ``http://host:port``.
        connect_s: seconds to connect.
        answer_s: seconds between two bytes of an answer.
    """

    def __init__(self, endpoint: str, connect_s: float, answer_s: float) -> None:
        self._url = urlsplit(endpoint)
        self._connect_s, self._answer_s = connect_s, answer_s
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        # Not __del__: of garbage in a cycle, the collector may come to the sockets first.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    @contextmanager
    def get(self, target: str, headers: dict[str, str]) -> Iterator[Response]:
        """The answer to a GET; its connection is kept if the body has been read to its end.

        Raises OSError and HTTPException, from the body too.
        """
        connection, response = self._answered(target, headers)
        try:
            yield response
            if response.isclosed() and not response.will_close:
                self._keep(connection)
                return
            connection.close()
        except BaseException:
            connection.close()
            raise

    def _answered(self, target: str, headers: dict[str, str]) -> tuple[http.client.HTTPConnection, Response]:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            # The other side ends idle connections whenever it likes: no failure, a new one is made.
            with suppress(ConnectionError, http.client.HTTPException):
                return kept, _ask(kept, target, headers)
        connection = self._connect()
        return connection, _ask(connection, target, headers)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=self._connect_s)
        else:
            proxy = _proxy(host)
            at = (proxy.hostname or "", proxy.port) if proxy else (host, port)
            connection = http.client.HTTPSConnection(*at, timeout=self._connect_s)
            if proxy:
                connection.set_tunnel(host, port or 443)
        connection.response_class = Response
        connection.connect()
        connection.sock.settimeout(self._answer_s)
        return connection

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()


def _ask(connection: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> Response:
    try:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    assert isinstance(response, Response)  # noqa: S101 - response_class says so
    return response


def _close_all(connections: Iterable[http.client.HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


def _proxy(host: str) -> SplitResult | None:
    """The proxy that the environment names for the host; a laptop may stand behind one."""
    if not (os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")):
        return None
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(host) else urlsplit(getproxies()["https"])
