"""An OpenTelemetry collector: takes spans over HTTP and reads them with the protocol's own messages."""

import gzip
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATIENCE_S = 20


class FakeCollector:
    """Answers on ``url``, for the variable ``OTEL_EXPORTER_OTLP_ENDPOINT``; keeps what it was sent.

    Args:
        status: of its answers.
        keeps: False drops what was read.
    """

    def __init__(self, status: int = 200, *, keeps: bool = True) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.status = status
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not keeps:
                    return self._answer()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                fake.headers.append(dict(self.headers.items()))
                for told in ExportTraceServiceRequest.FromString(body).resource_spans:
                    fake.resources.append(attributes(told.resource))
                    fake.spans.extend(span for scope in told.scope_spans for span in scope.spans)
                return self._answer()

            def _answer(self) -> None:
                body = ExportTraceServiceResponse().SerializeToString()
                self.send_response(fake.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def until(self, found: Callable[[list[Any]], bool]) -> list[Any]:
        """The spans, once they are what is waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while not found(self.spans):
            assert time.monotonic() < deadline, self.spans
            time.sleep(0.02)
        return self.spans

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes(told: Any) -> dict[str, Any]:
    """Of a span or a resource, by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in told.attributes}
