from collections.abc import Iterator
from typing import Any

import pytest

from model_functions import spans, tracing
from model_functions.errors import Overloaded
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics
from model_functions.phases import Phases
from tests.fakes.collector import FakeCollector, attributes
from tests.shared.http.requests import get
from tests.shared.lines import written

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def hello(request: Request) -> Response:
    request.served = "wine"
    with request.phases("load"), request.phases("import"):
        pass
    request.phases.record("infer", 0.002)
    return Response(200, b"", {"X-Model-Revision": "abc123"})


def full(request: Request) -> Response:
    raise Overloaded("2 requests wait here already.", retry_after=1)


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as collector:
        yield collector


@pytest.fixture(autouse=True)
def exports_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = Phases.keeps
    yield
    spans.flush()
    spans._exporters.clear()
    tracing._samplers.clear()
    Phases.keeps = before


def exporting(collector: FakeCollector, monkeypatch: pytest.MonkeyPatch, **more: str) -> FrontDoor:
    for name, value in ({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"} | more).items():
        monkeypatch.setenv(name, value)
    spans.configure()
    return FrontDoor(Routes({"/": {"GET": hello}, "/full": {"GET": full}}), Metrics(), family="tabular")


def by_name(found: list[Any]) -> dict[str, Any]:
    return {span.name: span for span in found}


def test_a_request_is_a_span_within_its_callers_and_its_phases_are_within_it(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = exporting(collector, monkeypatch, OTEL_SERVICE_NAME="wines", K_REVISION="tabular-00007")
    with written() as lines:
        door.handle(get("/", {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}))
    found = by_name(collector.until(lambda spans: len(spans) == 4))
    request = found["GET /"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, SPAN)
    assert (request.kind, request.trace_state) == (2, "vendor=1")
    for name in ("load", "import", "infer"):
        inner = found[name]
        assert (inner.trace_id, inner.parent_span_id) == (request.trace_id, request.span_id)
        assert request.start_time_unix_nano <= inner.end_time_unix_nano <= request.end_time_unix_nano
    assert found["infer"].end_time_unix_nano - found["infer"].start_time_unix_nano == pytest.approx(2e6, abs=2000)
    [entry] = lines.entries
    assert entry["logging.googleapis.com/spanId"] == request.span_id.hex()
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/",
        "http.response.status_code": 200,
        "model_functions.family": "tabular",
        "model_functions.model": "wine",
        "model_functions.revision": "abc123",
        "model_functions.request_id": entry["request_id"],
    }
    resource = collector.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("wines", "tabular-00007")


def test_a_failure_is_an_error_of_its_code(collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    door = exporting(collector, monkeypatch, K_SERVICE="tabular")
    with written():
        door.handle(get("/full"))
    [span] = collector.until(len)
    assert (span.status.code, span.status.message) == (2, "2 requests wait here already.")
    assert attributes(span)["error.type"] == "overloaded"
    assert span.parent_span_id == b""
    assert collector.resources[0]["service.name"] == "tabular"


def test_what_the_caller_does_not_sample_is_not_exported(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = exporting(collector, monkeypatch)
    with written() as lines:
        door.handle(get("/", {"traceparent": f"00-{TRACE}-{SPAN}-00"}))
        door.handle(get("/full"))
    found = collector.until(len)
    assert [span.name for span in found] == ["GET /full"]
    assert [entry["logging.googleapis.com/trace_sampled"] for entry in lines.entries] == [False, True]


def test_whoever_we_ask_belongs_to_our_span(collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting(collector, monkeypatch)
    begun = tracing.begun({"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert begun.headers() == {"traceparent": f"00-{TRACE}-{begun.span}-01"}
    assert begun.span != SPAN


def test_a_collector_that_is_away_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeCollector() as gone:
        pass
    door = exporting(gone, monkeypatch, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    with written():
        assert [door.handle(get("/")).status for _ in range(200)] == [200] * 200


def test_requests_that_wait_for_a_slow_collector_are_bounded() -> None:
    exporter = spans._Exporter({})
    assert exporter._ended.maxlen == spans.MOST


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, 'OTEL_TRACES_EXPORTER is "zipkin". Set it to otlp or none.'),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc". Set it to http/protobuf.',
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "some"}, 'OTEL_TRACES_SAMPLER is "some".'),
    ],
)
def test_nothing_is_exported_unless_it_is_asked_for_rightly(environment: dict[str, str], message: str) -> None:
    with written() as lines:
        spans.configure(environment)
    assert (spans._exporters, tracing.exported()) == ([], False)
    assert [entry["message"].startswith(message) for entry in lines.entries] == [True] * bool(message)
