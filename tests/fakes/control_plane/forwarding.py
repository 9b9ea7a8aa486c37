"""A request handed to an instance, and its answer handed back as it comes."""

import http.client
from dataclasses import dataclass

from tests.fakes.http_server import FakeHandler

_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}
PIECE = 64 * 1024


@dataclass
class Forwarded:
    """What became of a request.

    Args:
        status: none where the instance gave no answer at all.
        instead: the status to answer then.
    """

    status: int
    sent: int = 0
    instead: int = 503


def forward(
    handler: FakeHandler, port: int, path: str, headers: dict[str, str], body: bytes, timeout_s: float
) -> Forwarded:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    passed = {name: value for name, value in headers.items() if name.lower() not in _HOPS}
    passed |= {"Host": handler.headers.get("Host", ""), "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    try:
        connection.request(handler.command, path, body or None, passed)
        answer = connection.getresponse()
        return Forwarded(answer.status, _passed_back(handler, answer))
    except TimeoutError:
        return Forwarded(0, instead=504)
    except (OSError, http.client.HTTPException):
        handler.close_connection = True
        return Forwarded(0, instead=503)
    finally:
        connection.close()


def _passed_back(handler: FakeHandler, answer: http.client.HTTPResponse) -> int:
    """How many bytes its body had."""
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in _HOPS:
            handler.send_header(name, value)
    length = answer.getheader("Content-Length")
    is_empty = handler.command == "HEAD" or answer.status in (204, 304)
    is_chunked = length is None and not is_empty
    if is_chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    elif length is not None:
        handler.send_header("Content-Length", length)
    handler.end_headers()
    sent = 0
    while not is_empty and (piece := answer.read1(PIECE)):
        sent += len(piece)
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
        handler.wfile.flush()
    if is_chunked:
        handler.wfile.write(b"0\r\n\r\n")
    return sent
