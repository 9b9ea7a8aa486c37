"""An OpenTelemetry collector: takes spans over HTTP and reads them with the protocol's own messages."""

import gzip
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.fakes.http_server import FakeHandler, FakeHttpServer

PATIENCE_S = 20


class FakeCollector(FakeHttpServer):
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

        class Handler(FakeHandler):
            def do_POST(self) -> None:  # noqa: N802 - the base class looks for this name
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
                self.answer(fake.status, ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")

        super().__init__(Handler)
        self.url = f"http://{self.address}"

    def until(self, found: Callable[[list[Any]], bool]) -> list[Any]:
        """The spans, once they are what is waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while not found(self.spans):
            assert time.monotonic() < deadline, self.spans
            time.sleep(0.02)
        return self.spans


def attributes(told: Any) -> dict[str, Any]:
    """Of a span or a resource, by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in told.attributes}
