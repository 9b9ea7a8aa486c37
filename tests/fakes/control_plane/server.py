"""The server behind which all APIs are: a proxy's, to which clients name whole addresses."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.control_plane.routing import Answer, Request
from tests.fakes.http_server import FakeHandler, FakeHttpServer


class Server(FakeHttpServer):
    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        class Handler(FakeHandler):
            def serve(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(url.query, keep_blank_values=True))
                host = url.hostname or headers.get("host", "").partition(":")[0]
                given = answer(Request(self.command, host, url.path, query, headers, body))
                content_type = given.headers.pop("Content-Type", "text/plain")
                self.answer(given.status, given.body, content_type, **given.headers)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - names of the base class

        super().__init__(Handler)
