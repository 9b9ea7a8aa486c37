"""The functions as ``make run`` starts them: real processes, real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import main
from tests.fakes.bucket import FakeBucket
from tests.running import ROOT, Process, call, clean_environment, emulator
from tests.system.conftest import QUESTIONS, ROW, every_family
from tests.torture.sockets import exchange


@pytest.fixture(scope="module")
def site(graph_store_folder: Path, trust_file: Path) -> Iterator[tuple[str, Process]]:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as running:
        yield running


def predict(url: str, name: str, data: Any) -> Any:
    answer = call(f"{url}/predict", json.dumps({"model_name": name, "data": data}).encode())
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@every_family
def test_every_family_answers_through_the_gateway(site: tuple[str, Process], name: str, data: Any, field: str) -> None:
    answer = predict(site[0], name, [data, data])
    assert answer["model_name"] == name
    assert len(answer["body"]) == 2
    assert field in str(answer["body"])


def test_the_same_models_come_from_a_bucket_by_setting_model_store_only(bucket: FakeBucket, trust_file: Path) -> None:
    bucket_environment = {"STORAGE_EMULATOR_HOST": bucket.url, "MODEL_TRUST": str(trust_file)}
    with emulator("gs://models/team", **bucket_environment) as (url, _):
        for name, data, field in QUESTIONS:
            before = bucket.count("read", f"*{name}*wrapper.dill")
            assert field in str(predict(url, name, data)["body"])
            assert bucket.count("read", f"*{name}*wrapper.dill") == before + 1


def test_a_function_answers_under_its_own_name(site: tuple[str, Process]) -> None:
    url, _ = site
    answer = call(f"{url}/tabular/predict", json.dumps({"data": ROW}).encode())
    assert answer.status == 200
    assert answer.headers["x-model-revision"]
    assert json.loads(call(f"{url}/tabular", Accept="application/json").body)["function"] == "tabular"


def test_the_second_answer_is_warm(site: tuple[str, Process]) -> None:
    url, _ = site
    predict(url, "tiny_classifier", ROW)
    answer = call(f"{url}/predict", json.dumps({"model_name": "tiny_classifier", "data": ROW}).encode())
    assert "load" not in answer.headers["server-timing"]


def test_a_query_asks_the_same_and_nothing_is_405(site: tuple[str, Process]) -> None:
    url, _ = site
    answer = call(f"{url}/predict?model_name=tiny_classifier&data=0.5,1,2")
    assert json.loads(answer.body)["body"]["prediction"] == "large"
    nothing = call(f"{url}/predict")
    assert (nothing.status, json.loads(nothing.body)["405"]) == (405, "Method Not Allowed")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "The body is empty."),
        (b"{nonsense", 400, "The body is not JSON"),
        (b'{"model_name": "nope", "data": 1}', 404, 'No model "nope"'),
        (b'{"model_name": "tiny_tagger", "data": ""}', 422, "data is an empty text."),
        (b'{"model_name": "tiny_tagger", "data": "x", "wrong": 1}', 422, '"wrong" is no field of a request.'),
        (b'{"model_name": "tiny_classifier", "data": [1, 2]}', 422, "data has 2 values; the model has 3 columns"),
        (
            b'{"model_name": "tiny_summarizer", "data": "x", "parameters": {"num_beams": 99}}',
            422,
            '"num_beams": 99 is out of bounds. Give an integer from 1 to 8.',
        ),
    ],
)
def test_bad_input_is_named(site: tuple[str, Process], body: bytes, status: int, text: str) -> None:
    answer = call(f"{site[0]}/predict", body, method="POST")
    assert answer.status == status
    assert text in json.loads(answer.body)["error"]["message"]


def test_a_large_body_streams_through(site: tuple[str, Process]) -> None:
    rows = [[0.1, 0.2, 0.3]] * 10_000
    assert len(predict(site[0], "tiny_classifier", rows)["body"]) == 10_000
    answer = call(f"{site[0]}/predict", b"x" * (33 * 1024 * 1024))
    assert (answer.status, answer.headers["x-error-code"]) == (413, "payload_too_large")


def test_paths_reach_the_function_as_they_were_sent(site: tuple[str, Process]) -> None:
    url, _ = site
    for path in ("/nope", "/tabular/nope", "//tabular/predict", "/tabular/%2e%2e/predict", "/tabularx/"):
        answer = call(url + path)
        assert (answer.status, answer.headers["x-error-code"]) == (404, "not_found"), path


def test_a_function_that_died_is_started_again(graph_store_folder: Path, trust_file: Path) -> None:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as (url, process):
        predict(url, "tiny_classifier", ROW)
        for pid in children_of(process.process.pid):
            os.kill(pid, signal.SIGKILL)
        assert predict(url, "tiny_classifier", ROW)["body"]["prediction"] == "large"


def test_first_requests_at_once_start_a_function_once(graph_store_folder: Path, trust_file: Path) -> None:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as (url, process):
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: predict(url, "tiny_classifier", ROW), range(20)))
        # Rows that are computed together differ from those alone in their last digits, on some processors.
        assert all(answer["body"]["prediction"] == "large" for answer in answers)
        assert len({answer["revision"] for answer in answers}) == 1
        assert sum(line.startswith("[tabular] started") for line in process.lines) == 1
        assert process.lines.count("[tabular] loaded tiny_classifier") == 1


def test_what_one_instance_has_no_room_for_starts_another(graph_store_folder: Path, trust_file: Path) -> None:
    arguments = ("--max-instances", "2", "--idle-timeout", "0.4")
    with emulator(graph_store_folder, *arguments, MODEL_TRUST=str(trust_file)) as (url, process):
        # Its flags.yaml lets an instance have 32 at once; a third one that they would start may not be.
        with ThreadPoolExecutor(70) as pool:
            answers = list(pool.map(lambda _: predict(url, "tiny_classifier", ROW), range(70)))
        assert all(answer["body"]["prediction"] == "large" for answer in answers)
        assert sum(line.startswith("[tabular] started") for line in process.lines) == 2
        assert process.lines.count("[tabular] loaded tiny_classifier") == 2
        deadline = time.monotonic() + 20
        while process.lines.count("[tabular] stopped after 0.4 s without a request") < 2:
            assert time.monotonic() < deadline, process.lines
            time.sleep(0.05)
        assert predict(url, "tiny_classifier", ROW)["body"]["prediction"] == "large"
        assert sum(line.startswith("[tabular] started") for line in process.lines) == 3


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        (("--max-instances", "0"), "error: --max-instances is 0. Give 1 or more.\n"),
        (("--idle-timeout", "0"), "error: --idle-timeout is 0. Give a positive number of seconds.\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_argument_that_cannot_be_is_told(
    argument: tuple[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", "--port", "0", *argument]) == 1
    assert capsys.readouterr().err == told


def test_an_idle_function_stops_and_comes_back(graph_store_folder: Path, trust_file: Path) -> None:
    with emulator(graph_store_folder, "--idle-timeout", "0.4", MODEL_TRUST=str(trust_file)) as (url, process):
        predict(url, "tiny_classifier", ROW)
        process.wait_for("[tabular] stopped after 0.4 s without a request")
        assert predict(url, "tiny_classifier", ROW)["body"]["prediction"] == "large"


def test_the_end_leaves_no_process(graph_store_folder: Path, trust_file: Path) -> None:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as (url, process):
        predict(url, "tiny_classifier", ROW)
        children = children_of(process.process.pid)
        assert len(children) == 2
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(20) == 0
        assert not [pid for pid in children if is_alive(pid)]


def test_a_killed_emulator_takes_its_functions_along(graph_store_folder: Path, trust_file: Path) -> None:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as (url, process):
        predict(url, "tiny_classifier", ROW)
        children = children_of(process.process.pid)
        process.process.kill()
        deadline = time.monotonic() + 15
        while any(map(is_alive, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in children if is_alive(pid)]


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "deploy", "emulate", "--port", str(port)],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == (f"error: 127.0.0.1:{port} cannot be used: Address already in use. Set PORT to a free one.\n")


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in listed.split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/../../etc/passwd", 404),
        ("/tabular/../health", 404),
        ("/tabular/%2e%2e/health", 404),
        ("/tabular//health", 404),
        ("//tabular/health", 404),
        ("/tabular/x/../health", 404),
        ("/tabular/./health", 404),
        ("/tabular/health", 200),
    ],
)
def test_a_function_sees_the_path_that_was_sent(site: tuple[str, Process], target: str, status: int) -> None:
    host, _, port = site[0].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        reply = exchange(connection, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reply.status == status, reply.body
    assert "location" not in reply.headers
