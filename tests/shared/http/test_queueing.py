"""What a function does with many requests at once."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_functions import queue
from model_functions.caller import Caller
from model_functions.engines.sklearn import EstimatorEngine
from model_functions.families.tabular import TabularWrapper
from model_functions.http import function as http_function
from model_functions.http.asgi_edge import AsgiEdge
from model_functions.http.function import FamilyFunction
from model_functions.http.message import BODY, Request, Response
from model_functions.pace import QUICK_S, SHORT_S
from model_functions.predictions import close
from tests.shared.http.requests import body, get, message, post
from tests.shared.http.test_asgi_edge import Wire, asked
from tests.shared.http.test_function import ROW, settings_with
from tests.shared.test_queue import until


@pytest.fixture
def function(store_folder: Path, trust_file: Path) -> FamilyFunction:
    found = FamilyFunction(TabularWrapper, settings_with(store_folder, trust_file, MAX_WAITING="2"))
    assert found.handle(post({"data": ROW})).status == 200
    return found


class Slow:
    """An estimator that predicts nothing before its gate is opened; keeps how many rows it was given at a time.

    It refuses the number 13, as an encoder refuses an unknown category.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.running = threading.Event(), threading.Event()
        self.read: list[int] = []
        table = EstimatorEngine._table

        def gated(engine: EstimatorEngine, rows: list[list[Any]]) -> Any:
            self.read.append(len(rows))
            self.running.set()
            assert self.gate.wait(10)
            if any(13 in row for row in rows):
                raise ValueError("Found unknown categories [13]")
            return table(engine, rows)

        monkeypatch.setattr(EstimatorEngine, "_table", gated)


@pytest.fixture
def slow(function: FamilyFunction, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


class Asking(threading.Thread):
    def __init__(self, function: FamilyFunction, asked: Request) -> None:
        super().__init__(daemon=True)
        self.answer: Response | None = None
        self.call: Callable[[], Response] = lambda: function.handle(asked)
        self.start()

    def run(self) -> None:
        self.answer = self.call()

    def result(self) -> Response:
        self.join(10)
        assert self.answer is not None
        return self.answer


def test_what_waits_is_read_together_and_each_gets_its_own(function: FamilyFunction, slow: Slow) -> None:
    many: list[Any] = [[ROW, [0, 0, 0]], [9, 9, 9]]
    asking = [Asking(function, post({"data": ROW}))]
    assert slow.running.wait(10)
    for data in many:
        asking.append(Asking(function, post({"data": data})))
        until(lambda: function.queue.waiting == len(asking) - 1)
    slow.gate.set()
    together = [body(one.result())["body"] for one in asking[1:]]
    assert slow.read == [1, 3]
    # Of several rows a matrix product is rounded otherwise.
    assert close(together, [body(function.handle(post({"data": data})))["body"] for data in many], 1e-9)


def test_a_row_that_the_model_refuses_fails_alone(function: FamilyFunction, slow: Slow) -> None:
    asking = [Asking(function, post({"data": ROW}))]
    assert slow.running.wait(10)
    for data in (ROW, [13, 1, 1]):
        asking.append(Asking(function, post({"data": data})))
        until(lambda: function.queue.waiting == len(asking) - 1)
    slow.gate.set()
    assert [one.result().status for one in asking] == [200, 200, 422]
    assert message(asking[2].result()) == "The model cannot take this data: Found unknown categories [13]"


def test_too_many_are_told_when_to_come_back(function: FamilyFunction, slow: Slow) -> None:
    with function.cache().use("tiny_classifier", post({}).phases) as model:
        for _ in range(50):
            model.pace.ran(30, 1)
        model.pace.slowest = 0.0
    asking = [Asking(function, post({"data": ROW}))]
    assert slow.running.wait(10)
    asking += [Asking(function, post({"data": ROW, "parameters": {"method": "predict"}})) for _ in range(2)]
    until(lambda: function.queue.waiting == 2)
    refused = function.handle(post({"data": ROW}))
    assert (refused.status, refused.headers["X-Error-Code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    assert message(refused).startswith("2 requests wait here already, for about ")
    assert 'model_functions_overloads_total{reason="full"} 1' in function.metrics.render()
    assert "model_functions_requests_waiting 2" in function.metrics.render()
    slow.gate.set()
    assert [one.result().status for one in asking] == [200] * 3


def test_a_deadline_is_a_504_and_a_caller_who_is_gone_a_499(function: FamilyFunction, slow: Slow) -> None:
    with function.cache().use("tiny_classifier", post({}).phases) as model:
        model.pace.ran(0.04, 1)
    late = with_caller(post({"data": ROW}), Caller(0.05))
    answer = function.handle(late)
    assert (answer.status, answer.headers["X-Error-Code"]) == (504, "deadline_exceeded")
    caller = Caller()
    gone = Asking(function, with_caller(post({"data": ROW}), caller))
    until(lambda: function.queue.waiting == 1)
    caller.hang_up()
    assert gone.result().status == 499
    slow.gate.set()
    until(lambda: function.queue.is_idle)
    assert slow.read == [1]


def with_caller(asked: Request, caller: Caller) -> Request:
    return replace(asked, caller=caller)


def made_short(function: FamilyFunction, seconds: float) -> None:
    with function.cache().use("tiny_classifier", post({}).phases) as model:
        for _ in range(300):
            model.pace.ran(seconds, 1)


def step(function: FamilyFunction, value: Any) -> Any:
    """The first thing for which the request waits once it has been let in, or its answer."""
    steps = function.steps(post(value))
    assert next(steps) is BODY
    try:
        return next(steps)
    except StopIteration as end:
        return end.value


def test_only_what_takes_next_to_no_time_is_done_without_a_thread_that_may_wait(
    function: FamilyFunction, store_folder: Path, trust_file: Path
) -> None:
    cold = FamilyFunction(TabularWrapper, settings_with(store_folder, trust_file))
    assert step(cold, {"data": ROW, "model_name": "tiny_classifier"}) is None
    assert step(function, {"data": ROW}) is None, "nobody knows yet how long it takes"
    made_short(function, QUICK_S / 2)
    answer = step(function, {"data": ROW})
    assert (answer.status, body(answer)["body"]["prediction"]) == (200, "large")
    assert step(function, {"data": [1]}).status == 422
    assert step(function, {"data": [ROW] * 5000}) is None
    made_short(function, 2 * SHORT_S)
    assert step(function, {"data": ROW}) is None


def test_short_predictions_of_one_round_are_read_together(function: FamilyFunction, slow: Slow) -> None:
    made_short(function, SHORT_S / 4)
    slow.gate.set()
    many = [ROW, [ROW, [9, 9, 9]], [13, 1, 1]]
    wires = [Wire(json.dumps({"data": data}).encode()) for data in many]

    async def serve() -> None:
        edge = AsgiEdge(function.steps, threads=1, max_body_bytes=10_000, body_timeout_s=10)
        await asyncio.gather(*[edge.serve(asked(), wire.incoming.get, wire.send) for wire in wires])

    asyncio.run(serve())
    assert slow.read[0] == 4
    assert [wire.status for wire in wires] == [200, 200, 422]
    together = [json.loads(wire.body)["body"] for wire in wires[:2]]
    assert close(together, [body(function.handle(post({"data": data})))["body"] for data in many[:2]], 1e-9)


def test_a_short_prediction_may_be_too_late_too(function: FamilyFunction) -> None:
    made_short(function, SHORT_S / 4)
    late = with_caller(post({"data": ROW}), Caller(0.02))
    steps = function.steps(late)
    assert next(steps) is BODY
    awaited = next(steps)
    assert awaited is not None
    time.sleep(0.03)
    awaited.help()
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert ended.value.value.status == 504


def test_a_model_may_be_published_to_read_each_request_alone(
    function: FamilyFunction, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TabularWrapper, "max_batch", 0)
    asking = [Asking(function, post({"data": ROW}))]
    assert slow.running.wait(10)
    asking += [Asking(function, post({"data": [ROW, ROW]})) for _ in range(2)]
    until(lambda: function.queue.waiting == 2)
    slow.gate.set()
    assert [one.result().status for one in asking] == [200] * 3
    assert slow.read == [1, 2, 2]


def test_the_wait_and_the_work_are_told_apart(function: FamilyFunction, slow: Slow) -> None:
    first = Asking(function, post({"data": ROW}))
    assert slow.running.wait(10)
    second = Asking(function, post({"data": ROW}))
    until(lambda: function.queue.waiting == 1)
    slow.gate.set()
    assert first.result().status == 200
    timing = second.result().headers["Server-Timing"]
    assert [part.split(";")[0] for part in timing.split(", ")] == ["queue", "infer", "other", "total"]


def test_a_model_that_is_stuck_makes_the_instance_unready_and_then_unhealthy(
    function: FamilyFunction, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LATE_S", 0.05)
    with function.cache().use("tiny_classifier", post({}).phases) as model:
        model.pace.ran(0.04, 1)
    stuck = function.handle(with_caller(post({"data": ROW}), Caller(0.2)))
    assert stuck.status == 504
    for path in ("/ready", "/v2/health/ready"):
        unready = function.handle(get(path))
        assert (unready.status, unready.headers["X-Error-Code"]) == (503, "overloaded")
        assert "A model has been busy with one request for" in unready.body.decode()
    refused = function.handle(post({"data": ROW}))
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert message(refused).startswith("tiny_classifier has been busy with one request for 1 s, and takes no other.")
    for path in ("/health", "/v2/health/live", "/metrics"):
        assert function.handle(get(path)).status == 200
    monkeypatch.setattr(http_function, "MAX_STUCK_S", 0.01)
    for path in ("/health", "/v2/health/live"):
        assert function.handle(get(path)).status == 503
    slow.gate.set()
    until(lambda: function.handle(get("/ready")).status == 200)
    assert function.handle(get("/health")).status == 200
    assert function.handle(post({"data": ROW})).status == 200
