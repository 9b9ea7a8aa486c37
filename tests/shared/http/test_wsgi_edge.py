"""What the WSGI edge does with a request, as a server would ask that checks the specification."""

import io
import json
from collections.abc import Iterable
from typing import Any, Self
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from model_functions.http.body import read_body
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response
from model_functions.http.routes import Routes
from model_functions.http.wsgi_edge import wsgi_edge
from model_functions.metrics import Metrics


class Pieces:
    """Chunks that remember whether they were closed."""

    def __init__(self) -> None:
        self.left = [b"one", b"two"]
        self.closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        self.closed = True


PIECES = Pieces()


def tell(request: Request) -> Response:
    """What came in."""
    body = read_body(request, 1000).decode()
    told = {"path": request.path, "query": request.query, "headers": dict(request.headers), "body": body}
    return Response.json(told | {"length": request.target_length})


def stream(request: Request) -> Response:
    return Response(headers={"Content-Type": "text/plain"}, chunks=PIECES)


ROUTES = {
    "/tell": {"POST": tell, "GET": tell},
    "/ü": {"GET": tell},
    "/": {"GET": tell},
    "/stream": {"GET": stream},
}


class Answer:
    """What the server got, which closes it."""

    def __init__(self, **environ: Any) -> None:
        environ = {"SCRIPT_NAME": "", "QUERY_STRING": ""} | environ
        setup_testing_defaults(environ)
        application = validator(wsgi_edge(FrontDoor(Routes(ROUTES), Metrics()).steps))
        found: Iterable[bytes] = application(environ, self._start)
        self.body = b"".join(found)
        found.close()  # type: ignore[attr-defined]

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = status
        self.headers = dict(headers)

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class Connection(io.RawIOBase):
    """An input that goes on behind the body: whoever reads on waits, and here fails."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._body.read(size)
        assert block, "read past the body"
        return block


def post(body: bytes, **environ: Any) -> Answer:
    environ = {"wsgi.input": Connection(body), "CONTENT_LENGTH": str(len(body))} | environ
    return Answer(REQUEST_METHOD="POST", PATH_INFO="/tell", **environ)


def test_a_body_is_read_to_its_length_and_not_beyond() -> None:
    assert post(b"hello").told["body"] == "hello"
    assert post(b"").told["body"] == ""
    assert post(b"hello and the next request", CONTENT_LENGTH="5").told["body"] == "hello"


def test_a_body_without_a_length_ends_where_the_server_says() -> None:
    chunked = {"wsgi.input": io.BytesIO(b"hello"), "HTTP_TRANSFER_ENCODING": "chunked"}
    assert post(b"", **chunked, **{"wsgi.input_terminated": True}, CONTENT_LENGTH="").told["body"] == "hello"
    assert post(b"", **chunked, CONTENT_LENGTH="").told["body"] == ""


def test_a_body_that_ends_too_soon_is_told() -> None:
    answer = post(b"", **{"wsgi.input": io.BytesIO(b"hell")}, CONTENT_LENGTH="5")
    assert answer.status == "400 Bad Request"
    assert answer.told["error"]["message"] == "The body ended after 4 of 5 bytes. Send it again."


def test_bytes_that_wsgi_passes_as_latin_1_are_utf_8() -> None:
    answer = Answer(PATH_INFO="/ü".encode().decode("latin-1"), QUERY_STRING="a=%C3%BC&a=&b=1+2")
    assert (answer.told["path"], answer.told["query"]) == ("/ü", [["a", "ü"], ["a", ""], ["b", "1 2"]])


def test_headers_have_their_names() -> None:
    headers = post(b"x", CONTENT_TYPE="text/plain", HTTP_X_REQUEST_ID="abc").told["headers"]
    assert (headers["content-type"], headers["content-length"], headers["x-request-id"]) == ("text/plain", "1", "abc")


def test_the_target_counts_as_it_was_sent() -> None:
    assert Answer(PATH_INFO="/ü".encode().decode("latin-1"), RAW_URI="/%C3%BC?a").told["length"] == 9
    assert Answer(PATH_INFO="/tell", QUERY_STRING="a=1").told["length"] == 9


def test_an_answer_has_its_length_and_its_status() -> None:
    answer = Answer(PATH_INFO="/tell")
    assert answer.status == "200 OK"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert Answer(PATH_INFO="/nothing").status == "404 Not Found"


def test_an_answer_without_a_body_has_no_length() -> None:
    answer = Answer(REQUEST_METHOD="OPTIONS", PATH_INFO="/tell")
    assert (answer.status, answer.body) == ("204 No Content", b"")
    assert "Content-Length" not in answer.headers


def test_chunks_are_sent_as_they_come_and_closed() -> None:
    answer = Answer(PATH_INFO="/stream")
    assert answer.body == b"onetwo"
    assert "Content-Length" not in answer.headers
    assert PIECES.closed


@pytest.mark.parametrize(("prefix", "path"), [("", "/"), ("", ""), ("/models", "/")])
def test_the_root_is_the_root(prefix: str, path: str) -> None:
    assert Answer(SCRIPT_NAME=prefix, PATH_INFO=path).told["path"] == "/"


def test_the_prefix_itself_leads_to_its_root() -> None:
    answer = Answer(SCRIPT_NAME="/my/models", PATH_INFO="")
    assert (answer.status, answer.headers["Location"]) == ("308 Permanent Redirect", "models/")
