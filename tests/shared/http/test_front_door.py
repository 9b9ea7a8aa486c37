import json
import logging
from collections.abc import Mapping

import pytest

from model_functions.access import ANYBODY, Identity
from model_functions.draining import Drain
from model_functions.errors import Forbidden, InvalidInput, RateLimited, Unauthenticated, error_classes
from model_functions.http.errors import render
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import BODY, Handler, Request, Response, finished
from model_functions.http.routes import Routes
from model_functions.logs import JsonFormatter
from model_functions.metrics import Metrics
from tests.shared.http.requests import body, get, message, request


def hello(request: Request) -> Response:
    with request.phases("infer"):
        return Response.json({"hello": request.id})


def broken(request: Request) -> Response:
    raise RuntimeError("the secret is in /etc/secret")


def refusing(request: Request) -> Response:
    raise InvalidInput("data[1]", "data[1] is wrong.")


METRICS = Metrics()
DOOR = FrontDoor(
    Routes(
        {
            "/": {"GET": hello},
            "/predict": {"POST": hello, "GET": hello},
            "/broken": {"GET": broken},
            "/no": {"GET": refusing},
        }
    ),
    METRICS,
)


def test_every_answer_has_an_id_a_timing_and_no_sniffing() -> None:
    response = DOOR.handle(get("/"))
    assert response.status == 200
    assert len(response.headers["X-Request-Id"]) == 16
    assert response.headers["Server-Timing"].startswith("infer;dur=")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_callers_id_is_kept_when_it_is_one() -> None:
    assert DOOR.handle(get("/", {"x-request-id": "abc-1"})).headers["X-Request-Id"] == "abc-1"
    assert DOOR.handle(get("/", {"x-request-id": "a\nb"})).headers["X-Request-Id"] != "a\nb"


@pytest.mark.parametrize(
    "path", ["/nope", "/predict/", "/PREDICT", "//predict", "/../predict", "/%2e%2e", "/healthz", "", "/a" * 500]
)
def test_an_unknown_path_is_404(path: str) -> None:
    response = DOOR.handle(get(path))
    assert (response.status, response.headers["X-Error-Code"]) == (404, "not_found")
    assert "GET /docs lists what there is." in message(response)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "BREW", "get"])
def test_another_method_is_405_with_those_there_are(method: str) -> None:
    response = DOOR.handle(request(method=method, target="/predict"))
    assert response.status == 405
    assert response.headers["Allow"] == "GET, OPTIONS, POST"
    assert body(response)["405"] == "Method Not Allowed"


def test_head_is_get_without_a_body_and_not_for_predictions() -> None:
    response = DOOR.handle(request(method="HEAD", target="/"))
    assert (response.status, response.body) == (200, b"")
    assert DOOR.handle(request(method="HEAD", target="/predict")).status == 405


def test_options_says_what_is_allowed() -> None:
    response = DOOR.handle(request(method="OPTIONS", target="/predict"))
    assert (response.status, response.headers["Allow"], response.body) == (204, "GET, OPTIONS, POST", b"")


def test_a_long_url_is_refused() -> None:
    response = DOOR.handle(get("/predict?data=" + "x" * 9000))
    assert (response.status, response.headers["X-Error-Code"]) == (414, "uri_too_long")
    assert "POST the data." in message(response)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", "3600001", "9" * 400, "²", ""])
def test_a_deadline_that_is_none_is_named(value: str) -> None:
    response = DOOR.handle(get("/", {"x-request-timeout-ms": value}))
    assert response.status == 422
    expected = f'The header X-Request-Timeout-Ms is "{value[:20]}". Send an integer from 1 to 3600000.'
    assert message(response) == expected


def test_the_shortest_of_the_deadlines_counts() -> None:
    seen = list[float]()

    def patient(request: Request) -> Response:
        seen.append(request.caller.remaining())
        return Response()

    door = FrontDoor(Routes({"/": {"GET": patient}}), Metrics(), timeout_s=300)
    for headers in ({}, {"x-request-timeout-ms": "2000"}, {"x-request-timeout-ms": "3600000"}):
        door.handle(get("/", headers))
    assert seen == pytest.approx([300, 2, 300], abs=1)


def test_an_error_of_ours_says_where_and_what() -> None:
    response = DOOR.handle(get("/no"))
    assert response.status == 422
    error = body(response)["error"]
    assert error["code"] == "invalid_input"
    assert error["details"] == [{"path": "data[1]", "message": "data[1] is wrong."}]
    assert error["request_id"] == response.headers["X-Request-Id"]


def test_an_unforeseen_error_says_nothing_of_itself_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("model_functions").propagate = True
    response = DOOR.handle(get("/broken"))
    assert (response.status, response.headers["X-Error-Code"]) == (500, "internal")
    assert b"secret" not in response.body
    assert "the secret is in /etc/secret" in caplog.text


@pytest.mark.parametrize("error", error_classes(), ids=lambda cls: cls.__name__)
def test_every_error_renders_in_one_shape(error: type) -> None:
    made = error("path", "text") if error is InvalidInput else error("text", retry_after=3)
    response = render(made, "id")
    record = body(response)["error"]
    assert {"code", "message", "status", "request_id"} <= set(record)
    assert response.status == record["status"] == made.status
    assert response.headers["X-Error-Code"] == made.code
    if error is not InvalidInput:
        assert response.headers["Retry-After"] == "3"


def test_codes_are_unique_but_for_a_kinds_own_parent() -> None:
    codes = [error.code for error in error_classes()]
    assert len(codes) == len(set(codes))


def test_metrics_count_by_route_and_status() -> None:
    metrics = Metrics()
    door = FrontDoor(Routes({"/": {"GET": hello}}), metrics)
    for target in ("/", "/", "/a", "/b"):
        door.handle(get(target))
    text = metrics.render()
    assert 'model_functions_requests_total{model="",route="/",status="200"} 2' in text
    assert 'model_functions_requests_total{model="",route="other",status="404"} 2' in text
    assert 'model_functions_request_seconds_bucket{model="",le="+Inf"} 4' in text
    assert 'model_functions_request_seconds_count{model=""} 4' in text
    assert 'model_functions_errors_total{code="not_found"} 2' in text


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    record = logging.LogRecord("a", logging.WARNING, "", 0, "x\n\x1b[31m\u2028%s", ("y",), None)
    record.fields = {"request_id": "1", "object": object()}
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    entry = json.loads(line)
    assert (entry["severity"], entry["message"], entry["request_id"]) == ("WARNING", "x\n\x1b[31m\u2028y", "1")


class KeyGuard:
    """Lets in who has the key "good", to predict.

    Args:
        is_fresh: whether it knows the keys.
    """

    def __init__(self, *, is_fresh: bool = True, identity: Identity = ANYBODY) -> None:
        self._is_fresh = is_fresh
        self._identity = identity

    def is_fresh(self, headers: Mapping[str, str]) -> bool:
        return self._is_fresh

    def admit(self, headers: Mapping[str, str], action: str) -> Identity:
        if headers.get("x-api-key") != "good":
            raise Unauthenticated("There is no key.")
        if action != "predict":
            raise Forbidden("The key is not for this.")
        return self._identity


def guarded(guard: KeyGuard) -> FrontDoor:
    def needs(request: Request) -> str | None:
        return {"/health": None, "/warmup": "warm"}.get(request.route, "predict")

    table = {"/predict": {"POST": hello}, "/warmup": {"POST": hello}, "/health": {"GET": hello}}
    return FrontDoor(Routes(table), Metrics(), max_body_bytes=10, guard=guard, needs=needs)


def unread(size: int) -> bytes:
    raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(b"{}", read=unread), 401),
        (request(b"{}", {"content-length": "11"}, read=unread), 401),
        (request(b"{}", {"x-api-key": "bad"}, read=unread), 401),
        (request(b"{}", {"x-api-key": "good"}, target="/warmup", read=unread), 403),
        (request(b"{}", target="/nope", read=unread), 404),
        (request(b"{}", method="PUT", read=unread), 405),
        (request(b"{}", {"x-api-key": "good", "content-length": "11"}, read=unread), 413),
        (request(method="OPTIONS"), 204),
        (get("/health"), 200),
        (request(b"{}", {"x-api-key": "good"}), 200),
    ],
)
def test_a_guard_decides_by_the_head_of_a_request(asked: Request, status: int) -> None:
    response = guarded(KeyGuard()).handle(asked)
    assert response.status == status
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


class Greedy:
    """Who has used up its quota."""

    name = "greedy"

    def check(self, family: str | None, model: str) -> None:
        raise AssertionError("asked for a model")

    def sees(self, family: str, model: str) -> bool:
        return True

    def take(self) -> None:
        raise RateLimited("Ask again in 7 s.", retry_after=7)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(b"{}", {"x-api-key": "good"}, read=unread), 429),
        (request(b"{}", {"x-api-key": "bad"}, read=unread), 401),
        (request(b"{}", {"x-api-key": "good"}, target="/warmup", read=unread), 403),
        (request(b"{}", {"x-api-key": "good", "content-length": "11"}, read=unread), 413),
        (request(b"{}", {"x-api-key": "good", "transfer-encoding": "gzip"}, read=unread), 501),
        (get("/health"), 200),
    ],
    ids=["no more for now", "no key", "not for this key", "too large", "unknown coding", "for everybody"],
)
def test_nobody_is_told_to_come_back_with_what_is_never_taken(asked: Request, status: int) -> None:
    response = guarded(KeyGuard(identity=Greedy())).handle(asked)
    assert response.status == status
    assert response.headers.get("Retry-After") == ("7" if status == 429 else None)


def test_a_guard_that_has_to_look_does_so_in_a_thread_before_the_body_is_wanted() -> None:
    steps = guarded(KeyGuard(is_fresh=False)).steps(request(b"{}", {"x-api-key": "good"}))
    assert [next(steps), next(steps)] == [None, BODY]


def test_a_route_for_everybody_waits_for_no_guard() -> None:
    assert next(guarded(KeyGuard(is_fresh=False)).steps(get("/health"))) is BODY


def draining_door() -> tuple[FrontDoor, Drain]:
    drain = Drain()
    table: dict[str, dict[str, Handler | str]] = {"/predict": {"POST": hello}, "/health": {"GET": hello}}
    return FrontDoor(Routes(table), Metrics(), drain=drain), drain


def test_an_instance_that_is_about_to_end_answers_nothing_but_that_it_lives() -> None:
    door, drain = draining_door()
    begun = door.steps(request())
    assert next(begun) is BODY
    drain.begin()
    refused = door.handle(request())
    assert (refused.status, refused.headers["X-Error-Code"]) == (503, "draining")
    assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("1", "close")
    assert door.handle(request(target="/nope")).status == 404
    assert door.handle(get("/health")).status == 200
    assert finished(begun).status == 200


def test_a_request_is_running_until_it_is_answered_or_dropped() -> None:
    door, drain = draining_door()
    answered, dropped = request(), request()
    steps = [door.steps(answered), door.steps(dropped)]
    for one in steps:
        next(one)
    assert drain.running == {answered.caller, dropped.caller}
    assert finished(steps[0]).status == 200
    assert drain.running == {dropped.caller}
    steps[1].close()
    assert not drain.running


def test_a_stream_is_running_until_it_is_closed() -> None:
    class Endless:
        def __iter__(self) -> "Endless":
            return self

        def __next__(self) -> bytes:
            return b"x"

        def close(self) -> None:
            pass

    drain = Drain()
    routes = Routes({"/predict": {"POST": lambda request: Response(chunks=Endless())}})
    response = FrontDoor(routes, Metrics(), drain=drain).handle(request())
    assert len(drain.running) == 1
    assert response.chunks is not None
    response.chunks.close()
    assert not drain.running
