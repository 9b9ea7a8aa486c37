"""Answers in pieces: what reaches the caller, and what is let go of, however the stream ends."""

import json
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import Draining, InvalidInput
from model_functions.http.flask_edge import flask_function
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request, Response
from model_functions.inputs import TextInput
from model_functions.parameters import Parameter
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.wrapper import STREAM, ModelWrapper
from tests.shared.http.requests import body, get, message, post, request
from tests.shared.lines import written
from tests.shared.test_queue import until


class Counting(ModelWrapper):
    """Counts as far as it is asked to; stumbles over the twelfth number."""

    family, task = "text_generation", "counting"
    declared: ClassVar[tuple[Parameter, ...]] = (STREAM,)
    open_streams = 0

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[int]:
        return list(map(int, items))

    def forward(self, features: list[int], parameters: dict[str, Any]) -> list[int]:
        return features

    def postprocess(self, outputs: list[int], parameters: dict[str, Any]) -> list[Any]:
        return outputs

    def stream(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Generator[dict[str, Any], None, Any]:
        if data == "0":
            raise InvalidInput("data", "data is 0. Count to something.")
        Counting.open_streams += 1
        try:
            for number in range(int(data)):
                yield {"text": f"{number} ü\n"} if number != 12 else {"text": float("nan")}
            return int(data)
        finally:
            Counting.open_streams -= 1


class Whole(Counting):
    family = "translation"
    declared = ()


@pytest.fixture
def function(repository: Repository, key: SigningKey, trust_file: Path, tmp_path: Path) -> FamilyFunction:
    return made(Counting, repository, key, trust_file, tmp_path)


def made(
    wrapper: type[ModelWrapper], repository: Repository, key: SigningKey, trust_file: Path, tmp_path: Path
) -> FamilyFunction:
    publish(wrapper(TextInput()), name="count", examples=["3"], repository=repository, key=key)
    environment = {"MODEL_STORE": str(tmp_path / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(wrapper, Settings.from_environment(environment))


def events(response: Response) -> list[tuple[str | None, Any]]:
    assert response.chunks is not None
    found = [parsed(chunk) for chunk in response.chunks]
    response.chunks.close()
    return found


def parsed(chunk: bytes) -> tuple[str | None, Any]:
    *head, data = chunk.decode().removesuffix("\n\n").split("\n")
    assert data.startswith("data: ")
    return (head[0].removeprefix("event: ") if head else None), json.loads(data.removeprefix("data: "))


def asked(count: str, **parameters: Any) -> Request:
    return post({"data": count, "parameters": {"stream": True} | parameters})


def nothing_runs(function: FamilyFunction) -> bool:
    return function.queue.is_idle


def users(function: FamilyFunction) -> int:
    return function.cache()._entries["count"].users


def test_a_stream_is_pieces_and_then_the_answer(function: FamilyFunction) -> None:
    response = function.handle(asked("2"))
    assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")
    revision = response.headers["X-Model-Revision"]
    *pieces, last = events(response)
    assert pieces == [(None, {"text": "0 ü\n"}), (None, {"text": "1 ü\n"})]
    assert last == ("answer", {"model_name": "count", "revision": revision, "body": 2})
    assert last[1] == body(function.handle(post({"data": "2"})))


@pytest.mark.parametrize(
    ("sent", "streams"),
    [
        (asked("2"), True),
        (asked("2", stream=False), False),
        (get("/predict?data=2&stream=true"), True),
        (get("/predict?data=2&stream=false", {"accept": "text/event-stream"}), False),
        (get("/predict?data=2", {"accept": "text/event-stream"}), True),
        (get("/predict?data=2", {"accept": "text/event-stream, application/json"}), False),
        (get("/predict?data=2", {"accept": "*/*"}), False),
        (get("/predict?data=2"), False),
    ],
)
def test_the_parameter_or_accept_asks_for_a_stream(function: FamilyFunction, sent: Request, streams: bool) -> None:
    response = function.handle(sent)
    assert response.status == 200
    assert (response.chunks is not None) == streams
    if response.chunks is not None:
        response.chunks.close()


def test_what_is_wrong_before_the_first_piece_is_a_status(function: FamilyFunction) -> None:
    response = function.handle(asked("0"))
    assert (response.status, message(response)) == (422, "data is 0. Count to something.")
    assert (users(function), Counting.open_streams) == (0, 0)
    response = function.handle(asked("2", stream="yes"))
    assert (response.status, message(response)) == (422, '"stream": "yes" is no boolean. Give true or false.')


def test_what_does_not_stream_says_so(
    repository: Repository, key: SigningKey, trust_file: Path, tmp_path: Path
) -> None:
    function = made(Whole, repository, key, trust_file, tmp_path)
    response = function.handle(asked("2"))
    expected = '"stream" is no parameter of this model. Its parameters: none.'
    assert (response.status, message(response)) == (422, expected)
    response = function.handle(get("/predict?data=2", {"accept": "text/event-stream"}))
    assert (response.status, message(response)) == (406, "counting models do not stream. Accept application/json.")
    assert response.headers["X-Error-Code"] == "not_acceptable"


def test_a_number_that_json_does_not_have_is_an_error_too(function: FamilyFunction) -> None:
    *told, (name, error) = events(function.handle(asked("13")))
    assert len(told) == 12
    assert (name, error["error"]["code"]) == ("error", "model_error")
    assert error["error"]["message"].startswith("count answered with a number that is not finite.")
    assert (users(function), nothing_runs(function), Counting.open_streams) == (0, True, 0)


def test_a_stream_of_lines_ends_with_the_error_alone(function: FamilyFunction) -> None:
    asked = post({"data": "13", "parameters": {"stream": True}}, "/predictions/count")
    chunks = function.handle(asked).chunks
    assert chunks is not None
    *told, error = map(json.loads, b"".join(chunks).splitlines())
    assert told == [{"text": f"{number} ü\n"} for number in range(12)]
    assert (error["code"], error["type"]) == (500, "InternalServerException")
    assert (users(function), nothing_runs(function), Counting.open_streams) == (0, True, 0)


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, StopIteration])
def test_whatever_the_model_raises_in_the_middle_ends_its_stream_only(
    function: FamilyFunction, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Counting, data: Any, parameters: Any) -> Iterator[dict[str, Any]]:
        yield {"text": "0"}
        raise raised

    monkeypatch.setattr(Counting, "stream", broken)
    *told, (name, error) = events(function.handle(asked("2")))
    assert told == [(None, {"text": "0"})]
    assert (name, error["error"]["status"]) == ("error", 500)
    assert error["error"]["message"].startswith("count failed on this input.")
    assert (users(function), nothing_runs(function)) == (0, True)


def test_a_caller_who_hangs_up_ends_the_work(function: FamilyFunction) -> None:
    response = function.handle(asked("10"))
    assert response.chunks is not None
    assert parsed(next(response.chunks)) == (None, {"text": "0 ü\n"})
    assert (users(function), Counting.open_streams) == (1, 1)
    before = function.metrics.render()
    assert "model_functions_open_streams 1" in before
    with written() as lines:
        response.chunks.close()
        response.chunks.close()
    assert (users(function), Counting.open_streams) == (0, 0)
    [line] = lines.entries
    assert (line["severity"], line["message"]) == ("INFO", "POST /predict 200")
    counted = f'{{model="{line["model"]}",route="/predict",status="200"}} 1'
    assert counted not in before
    assert counted in function.metrics.render()
    assert "model_functions_open_streams 0" in function.metrics.render()


def test_who_hangs_up_before_the_first_piece_is_sent_leaves_nothing_behind(function: FamilyFunction) -> None:
    response = function.handle(asked("10"))
    assert response.chunks is not None
    response.chunks.close()
    assert (users(function), Counting.open_streams, nothing_runs(function)) == (0, 0, True)


def test_a_stream_that_nobody_reads_keeps_nobody_waiting(function: FamilyFunction) -> None:
    slow = function.handle(asked("10"))
    answers: list[Any] = []
    other = threading.Thread(target=lambda: answers.append(body(function.handle(post({"data": "5"})))["body"]))
    other.start()
    other.join(10)
    assert answers == [5]
    assert len(events(slow)) == 11


def test_streams_take_turns(function: FamilyFunction) -> None:
    one, other = (function.handle(asked("3")) for _ in range(2))
    assert one.chunks is not None
    assert other.chunks is not None
    pairs = [(parsed(first), parsed(second)) for first, second in zip(one.chunks, other.chunks, strict=True)]
    assert all(first == second for first, second in pairs)
    assert len(pairs) == 4


def test_the_edge_closes_what_it_sends(function: FamilyFunction) -> None:
    import flask

    app = flask.Flask("edge")
    app.add_url_rule("/predict", "predict", lambda: flask_function(function.steps)(flask.request), methods=["POST"])
    client = app.test_client()
    sent = {"json": {"data": "3", "parameters": {"stream": True}}}
    answer = client.post("/predict", **sent)
    assert answer.data.count(b"data: ") == 4
    assert "Content-Length" not in answer.headers
    assert (users(function), Counting.open_streams) == (0, 0)
    answer = client.post("/predict", buffered=False, **sent)
    assert next(answer.iter_encoded()).startswith(b"data: ")
    answer.close()
    assert (users(function), Counting.open_streams) == (0, 0)


def test_a_body_that_is_no_json_is_refused_as_ever(function: FamilyFunction) -> None:
    response = function.handle(request(b"{", {"accept": "text/event-stream"}))
    assert (response.status, response.chunks) == (400, None)


def test_a_stream_whose_step_is_stuck_ends_with_an_error_and_is_closed_behind_it(
    function: FamilyFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, stuck, closed = threading.Event(), threading.Event(), threading.Event()

    def stream(self: Counting, data: Any, parameters: Any) -> Iterator[dict[str, Any]]:
        try:
            yield {"text": "0"}
            stuck.set()
            assert gate.wait(20)
            yield {"text": "1"}
        finally:
            closed.set()

    monkeypatch.setattr(Counting, "stream", stream)
    question = asked("2")
    chunks = function.handle(question).chunks
    assert chunks is not None
    assert parsed(next(chunks)) == (None, {"text": "0"})

    def send_away() -> None:
        assert stuck.wait(20)
        question.caller.send_away(Draining("Ends."))

    threading.Thread(target=send_away, daemon=True).start()
    name, error = parsed(next(chunks))
    assert (name, error["error"]["code"]) == ("error", "draining")
    chunks.close()
    assert not closed.is_set()
    assert users(function) == 1
    gate.set()
    assert closed.wait(20)
    until(lambda: users(function) == 0)
