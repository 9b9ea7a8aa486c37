"""Streams over real sockets: functions-framework alone, and the emulator with its proxy and the gateway."""

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import EDGES, Process, call, emulator, free_port, function

LONG = {"max_new_tokens": 4000, "min_new_tokens": 4000, "do_sample": True, "seed": 1}


@pytest.fixture(scope="module")
def flask(long_store: Path, staged_writer: Path) -> Iterator[tuple[str, Process]]:
    with function(staged_writer, free_port(), **EDGES["flask"], MODEL_STORE=str(long_store)) as running:
        warm(running[0])
        yield running


@pytest.fixture(scope="module")
def asgi(long_store: Path, staged_writer: Path) -> Iterator[tuple[str, Process]]:
    with function(staged_writer, free_port(), **EDGES["asgi"], MODEL_STORE=str(long_store)) as running:
        warm(running[0])
        yield running


@pytest.fixture(scope="module")
def site(long_store: Path, trust_file: Path) -> Iterator[tuple[str, Process]]:
    with emulator(long_store, MODEL_TRUST=str(trust_file)) as running:
        warm(running[0])
        yield running


@pytest.fixture(params=["flask", "asgi", "site"])
def served(request: pytest.FixtureRequest) -> tuple[str, Process]:
    found: tuple[str, Process] = request.getfixturevalue(request.param)
    return found


def warm(url: str) -> None:
    assert call(f"{url}/warmup", b'{"model_name": "long_writer"}').status == 200


def asked(data: Any = "hello world", **parameters: Any) -> dict[str, Any]:
    return {"model_name": "long_writer", "data": data, "parameters": parameters}


OPENAI: dict[str, Any] = {
    "model": "long_writer",
    "max_tokens": 4000,
    "min_new_tokens": 4000,
    "temperature": 1,
    "seed": 1,
    "stream": True,
}

#: A long answer, asked for in each protocol that streams.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "/predict": asked(**LONG, stream=True),
    "/v1/chat/completions": OPENAI | {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/completions": OPENAI | {"prompt": "hello world"},
    "/models/long_writer": {"inputs": "hello world", "parameters": LONG, "stream": True},
}


@contextmanager
def streaming(url: str, body: dict[str, Any], path: str = "/predict") -> Iterator[httpx.Response]:
    with httpx.Client(timeout=60) as client, client.stream("POST", url + path, json=body) as response:
        yield response


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = "message"
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
            name = "message"


@pytest.mark.parametrize("path", PROTOCOLS)
def test_pieces_come_one_by_one_while_the_rest_is_written(served: tuple[str, Process], path: str) -> None:
    started = time.perf_counter()
    with streaming(served[0], PROTOCOLS[path], path) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-model-revision"]
        times, found = [], []
        for name, value in events(response):
            times.append(time.perf_counter() - started)
            found.append((name, value))
            if len(found) == 600:
                break
    assert {name for name, _ in found} == {"message"}
    gaps = [after - before for before, after in itertools.pairwise(times)]
    # Pieces that somebody had collected would come at once.
    assert times[0] < times[-1] / 2
    assert len([gap for gap in gaps if gap > 0.0002]) > 20


def test_the_pieces_make_up_the_answer(served: tuple[str, Process]) -> None:
    chat = [{"role": "user", "content": "hello"}]
    parameters = {"max_new_tokens": 40, "do_sample": True, "seed": 3, "stop": ["xy", "e"]}
    with streaming(served[0], asked([chat, "one"], **parameters, stream=True)) as response:
        *pieces, (name, answer) = events(response)
    assert name == "answer"
    whole = json.loads(call(f"{served[0]}/predict", json.dumps(asked([chat, "one"], **parameters)).encode()).body)
    assert answer == whole
    for index, prediction in enumerate(whole["body"]):
        mine = [piece for _, piece in pieces if piece["index"] == index]
        assert "".join(piece["text"] for piece in mine) == prediction["generated_text"]
        assert mine[-1]["finish_reason"] == prediction["finish_reason"]


@pytest.mark.parametrize("path", PROTOCOLS)
def test_who_hangs_up_frees_the_model_soon(served: tuple[str, Process], path: str) -> None:
    url, process = served
    before = len(ends(process))
    with streaming(url, PROTOCOLS[path], path) as response:
        next(events(response))
    until = time.monotonic() + 20
    while len(ends(process)) == before and time.monotonic() < until:
        time.sleep(0.05)
    # Thousands of tokens would have taken longer.
    assert ends(process)[before] < 2000
    assert call(f"{url}/predict", json.dumps(asked(max_new_tokens=2)).encode()).status == 200


def ends(process: Process) -> list[float]:
    """The milliseconds that the family's function took for each prediction, as it or the emulator logs them."""
    log = "\n".join(process.lines)
    logged = r'"message": "POST [^ ]+ 200".*"total": ([\d.]+)'
    emulated = r"^\[text-generation\] POST [^ ]+ 200 in ([\d.]+) ms"
    return [float(one or other) for one, other in re.findall(f"{logged}|{emulated}", log, re.MULTILINE)]


def test_streams_and_answers_share_the_model(served: tuple[str, Process]) -> None:
    url, _ = served
    short = json.dumps(asked(max_new_tokens=2)).encode()

    def stream(seed: int) -> float:
        with streaming(url, asked(**LONG | {"seed": seed}, stream=True)) as response:
            for count, _ in enumerate(events(response)):
                if count == 150:
                    break
        return time.perf_counter()

    with streaming(url, asked(**LONG, stream=True)) as unread, ThreadPoolExecutor(3) as pool:
        next(events(unread))
        started = time.perf_counter()
        ended = list(pool.map(stream, (5, 6)))
        assert call(f"{url}/predict", short).status == 200
        assert max(ended) - started < 20


def test_what_is_wrong_is_a_status_and_no_stream(served: tuple[str, Process]) -> None:
    body = json.dumps(asked("", stream=True)).encode()
    answer = call(f"{served[0]}/predict", body, Accept="text/event-stream")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/json")
    assert json.loads(answer.body)["error"]["message"] == "data is an empty text. Send at least one character."


def test_a_browsers_event_source_is_served(served: tuple[str, Process]) -> None:
    query = "/predict?model_name=long_writer&data=hello&max_new_tokens=5"
    answer = call(served[0] + query, Accept="text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body.decode().rstrip("\n").split("\n")[-2] == "event: answer"


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from descendants(child)


def test_a_function_that_dies_in_the_middle_is_an_error_event(long_store: Path, trust_file: Path) -> None:
    with emulator(long_store, MODEL_TRUST=str(trust_file)) as (url, process):
        warm(url)
        with streaming(url, asked(**LONG, stream=True)) as response:
            found = events(response)
            next(found)
            for child in list(descendants(process.process.pid)):
                if Path(f"/proc/{child}/cwd").resolve().name == "text_generation":
                    os.kill(child, signal.SIGKILL)
            *_, (name, error) = found
    assert (name, error["error"]["code"]) == ("error", "function_unreachable")
    assert error["error"]["message"] == "The function text-generation broke off. Ask again."
