import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model_functions import logs
from model_functions.errors import Overloaded
from model_functions.http import observed
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics
from model_functions.tracing import Trace
from tests.shared.http.requests import get
from tests.shared.lines import written

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TEXT = "my heart beats too fast"


class Somebody:
    name = "k1234567"

    def check(self, family: str | None, model: str) -> None:
        pass

    def sees(self, family: str, model: str) -> bool:
        return True

    def take(self) -> None:
        pass


def hello(request: Request) -> Response:
    request.served, request.identity = "wine", Somebody()
    request.phases.record("infer", 0.0015)
    return Response(200, b"", {"X-Model-Revision": "abc123"})


def broken(request: Request) -> Response:
    raise ValueError(f"cannot read {TEXT}")


def full(request: Request) -> Response:
    raise Overloaded("2 requests wait here already.", retry_after=1)


DOOR = FrontDoor(
    Routes({"/": {"GET": hello}, "/broken": {"GET": broken}, "/full": {"GET": full}}), Metrics(), family="tabular"
)


@pytest.fixture(autouse=True)
def no_loop() -> Iterator[None]:
    yield
    observed._collectors.clear()


def test_a_requests_line_says_what_was_asked_by_whom_and_what_came_of_it() -> None:
    with written() as lines:
        DOOR.handle(get("/", {"x-request-id": "id1"}))
    [entry] = lines.entries
    assert (entry.pop("time")[10], entry["httpRequest"].pop("latency")[-1]) == ("T", "s")
    phases = entry.pop("phases")
    assert (list(phases), phases["infer"]) == (["infer", "other", "total"], 1.5)
    assert entry == {
        "severity": "INFO",
        "message": "GET / 200",
        "logger": "model_functions.http.front_door",
        "httpRequest": {"requestMethod": "GET", "status": 200},
        "request_id": "id1",
        "family": "tabular",
        "model": "wine",
        "revision": "abc123",
        "caller": "k1234567",
    }


def test_what_the_instance_cannot_do_is_one_line_that_says_why() -> None:
    with written() as lines:
        DOOR.handle(get("/full"))
        DOOR.handle(get("/nope"))
    overloaded, unknown = lines.entries
    assert (overloaded["severity"], overloaded["error"]) == ("WARNING", "overloaded")
    assert overloaded["message"] == "GET /full 503: 2 requests wait here already."
    # What a caller did wrong may quote what it sent.
    assert (unknown["severity"], unknown["message"], unknown["error"]) == ("INFO", "GET other 404", "not_found")


def test_an_error_is_reported_with_its_trace_and_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "tabular")
    monkeypatch.setenv("K_REVISION", "tabular-00007")
    with written() as lines:
        DOOR.handle(get("/broken", {"traceparent": f"00-{TRACE}-{SPAN}-01"}))
    error, request = lines.entries
    assert (error["severity"], error["@type"], request["severity"]) == ("ERROR", logs.REPORTED, "ERROR")
    assert error["serviceContext"] == {"service": "tabular", "version": "tabular-00007"}
    assert error["stack_trace"].startswith("Traceback (most recent call last):\n  File ")
    assert error["stack_trace"].splitlines()[-1].startswith("ValueError: (35 characters, digest ")
    assert error["logging.googleapis.com/trace"] == request["logging.googleapis.com/trace"]
    assert error["request_id"] == request["request_id"]
    assert TEXT not in "".join(lines.writes)


def test_inputs_are_shown_where_that_is_asked_for() -> None:
    with written() as lines:
        logs.configure("INFO", inputs=True)
        DOOR.handle(get("/broken"))
    assert lines.entries[0]["stack_trace"].endswith(f"ValueError: cannot read {TEXT}")


def test_an_error_without_an_exception_says_where_it_is() -> None:
    with written() as lines:
        logging.getLogger("model_functions.x").error("the disk is gone")
    place = lines.entries[0]["context"]["reportLocation"]
    assert (place["filePath"], place["functionName"]) == (__file__, sys._getframe().f_code.co_name)


@pytest.mark.parametrize(
    ("headers", "sampled"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, True),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, False),
        ({"traceparent": f"cc-{TRACE}-{SPAN}-03-more"}, True),
        ({"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)};o=1"}, True),
        ({"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)}"}, False),
    ],
)
def test_a_line_belongs_to_its_callers_trace(
    headers: dict[str, str], sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs.project, "prefix", "projects/mine/traces/")
    with written() as lines:
        DOOR.handle(get("/", headers | {"function-execution-id": "abc-1"}))
    [entry] = lines.entries
    assert entry["logging.googleapis.com/trace"] == f"projects/mine/traces/{TRACE}"
    assert entry["logging.googleapis.com/spanId"] == SPAN
    assert entry["logging.googleapis.com/trace_sampled"] is sampled
    assert entry["logging.googleapis.com/labels"] == {"execution_id": "abc-1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f'00-{TRACE}-{SPAN}-01", "severity": "'},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
        {"x-cloud-trace-context": "a/b;o=1"},
        {"function-execution-id": 'a"}, "x": "\n'},
        {"function-execution-id": "a" * 65},
    ],
)
def test_a_header_that_is_none_is_in_no_line(headers: dict[str, str]) -> None:
    with written() as lines:
        DOOR.handle(get("/", headers))
    [entry] = lines.entries
    assert not [name for name in entry if name.startswith("logging.")]


def test_the_projects_name_is_one_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in logs._PROJECT:
        monkeypatch.delenv(name, raising=False)
    assert logs.Project().prefix == ""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    assert logs.Project().prefix == "projects/mine/traces/"


def test_a_span_of_ours_takes_the_callers_place() -> None:
    told = logs.context({"traceparent": f"00-{TRACE}-{SPAN}-01"}, Trace(TRACE, "ab" * 8, SPAN, False))
    assert (f'spanId": "{"ab" * 8}"' in told, "false" in told) == (True, True)


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


HOSTILE: list[Any] = [
    '\r\n{"severity": "EMERGENCY"}\u2028\u2029\x1b[31m\x00\x7f\x85',
    "\ud800 half \udc00",
    float("nan"),
    float("inf"),
    b"\xff",
    Unspeakable(),
    {"\n": {1: [Unspeakable(), {"a", "b"}]}},
    [[[[[[[[[[[[["deep"]]]]]]]]]]]]],
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_is_one_line_of_printable_json_whatever_is_in_it(value: Any) -> None:
    record = logging.LogRecord("a", logging.WARNING, "", 0, "x%s", (value,), None)
    record.fields = {"value": value}
    line = logs.JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    entry = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    json.dumps(entry, ensure_ascii=False).encode()


def test_arguments_that_do_not_fit_lose_no_line() -> None:
    with written() as lines:
        logging.getLogger("model_functions.x").warning("%d of %d", "one")
    assert lines.entries[0]["message"] == "%d of %d ('one',)"


def test_what_is_too_long_is_cut() -> None:
    with written() as lines:
        fields = {"text": "y" * 10**6, "list": list(range(10**5))}
        logging.getLogger("model_functions.x").warning("x" * 10**6, extra={"fields": fields})
    assert len(lines.writes[0]) < 20_000
    [entry] = lines.entries
    assert "… 991808 characters …" in entry["message"]
    assert len(entry["list"]) == logs.MOST


class Rounds:
    """An event loop that goes on when it is told to."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []
        self.is_closed = False

    def call_soon(self, call: Callable[[], None]) -> None:
        if self.is_closed:
            raise RuntimeError("Event loop is closed")
        self.soon.append(call)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append(call)


def ask(number: int) -> None:
    DOOR.handle(get("/", {"x-request-id": f"id{number}"}))


def test_a_loops_requests_are_written_together_and_other_threads_at_once() -> None:
    rounds = Rounds()
    with written() as lines:
        observed.collect(rounds)
        ask(1)
        ask(2)
        assert lines.writes == []
        other = threading.Thread(target=ask, args=(3,))
        other.start()
        other.join()
        [write] = rounds.soon
        write()
        # So soon after the last write they wait for others.
        ask(4)
        assert (len(rounds.soon), len(rounds.later)) == (1, 1)
        for number in range(observed.TOGETHER):
            ask(5 + number)
        assert len(rounds.soon) == 2
        rounds.soon[1]()
        rounds.later[0]()
    ids = [[json.loads(line)["request_id"] for line in text.splitlines()] for text in lines.writes]
    assert ids[:2] == [["id3"], ["id1", "id2"]]
    assert [len(some) for some in ids[2:]] == [observed.TOGETHER + 1]


def test_metrics_show_what_is_not_written_yet() -> None:
    metrics = Metrics()
    door = FrontDoor(Routes({"/": {"GET": hello}}), metrics)
    with written():
        observed.collect(Rounds())
        door.handle(get("/"))
        assert "requests_total{" not in metrics.render()
        observed.write_now()
        assert 'requests_total{model="wine",route="/",status="200"} 1' in metrics.render()


def test_nothing_is_lost_once_the_loop_is_closed() -> None:
    rounds = Rounds()
    rounds.is_closed = True
    with written() as lines:
        observed.collect(rounds)
        ask(1)
    assert len(lines.writes) == 1


def test_a_threads_request_that_comes_alone_is_written_at_once_and_those_after_it_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observed, "TOGETHER_S", 0.2)
    with written() as lines:
        observed.collect_of_threads()
        asking = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        ask(6)
        assert len(lines.writes) == 1
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        deadline = time.monotonic() + 10
        while len(lines.entries) < 7 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert sorted(entry["request_id"] for entry in lines.entries) == [f"id{number}" for number in range(7)]
    assert len(lines.writes) < 7


def test_metrics_show_the_threads_requests_that_are_not_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "TOGETHER_S", 60)
    metrics = Metrics()
    door = FrontDoor(Routes({"/": {"GET": hello}}), metrics)
    with written():
        observed.collect_of_threads()
        for _ in range(3):
            door.handle(get("/"))
        assert 'status="200"} 3' not in metrics.render()
        observed.write_now()
        assert 'requests_total{model="wine",route="/",status="200"} 3' in metrics.render()


def test_in_a_site_a_request_is_a_record_of_its_logging(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_is_the_sites", False)
    logs.leave_to_the_site()
    monkeypatch.setattr(logging.getLogger("model_functions"), "propagate", True)
    with caplog.at_level("INFO", "model_functions"):
        ask(1)
    [record] = caplog.records
    assert record.getMessage().startswith("GET / 200 in ")
    assert (record.__dict__["request_id"], record.__dict__["caller"]) == ("id1", "k1234567")
