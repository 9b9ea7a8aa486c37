"""A staged folder under functions-framework, alone: nothing of the repository is on its path."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.stage import stage
from tests.benchmarks.first_answer import tree_memory_mb
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES, Answer, Process, call, free_port, function
from tests.system.conftest import QUESTIONS, ROW, every_family
from tests.tiny_models import TEXT

FAMILIES = {
    "tiny_tagger": "token_classification",
    "tiny_summarizer": "summarization",
    "tiny_translator": "translation",
    "tiny_classifier": "tabular",
    "tiny_eye": "image_classification",
    "tiny_writer": "text_generation",
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, graph_store_folder: Path, trust_file: Path) -> Path:
    """As the project's build folder: staged functions, and the store beside them."""
    folder = tmp_path_factory.mktemp("build")
    for family in FAMILIES.values():
        stage(family, build=folder)
        shutil.copy(trust_file, folder / family / "trust.json")
    shutil.copytree(graph_store_folder, folder / "store")
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


@every_family
def test_a_staged_folder_serves_from_the_store_beside_it(
    build: Path, port: int, edge: dict[str, str], name: str, data: Any, field: str
) -> None:
    with function(build / FAMILIES[name], port, **edge) as (url, process):
        answer = call(f"{url}/predict", json.dumps({"data": data}).encode())
        assert answer.status == 200, process.lines
        assert field in answer.body.decode()
        assert any(line.startswith('{"severity": "INFO", "message": "loaded') for line in process.lines)


def test_a_hundred_first_requests_cost_one_download(
    build: Path, bucket: FakeBucket, port: int, edge: dict[str, str]
) -> None:
    before = bucket.count("read", "*wrapper.dill")
    body = json.dumps({"model_name": "tiny_classifier", "data": ROW}).encode()
    environment = {"MODEL_STORE": "gs://models/team", "STORAGE_EMULATOR_HOST": bucket.url, "THREADS": "100"}
    with function(build / "tabular", port, **edge, **environment) as (url, _), ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: call(f"{url}/predict", body), range(100)))
    assert {answer.status for answer in answers} == {200}
    assert bucket.count("read", "*wrapper.dill") == before + 1


def test_a_bucket_that_is_away_is_503_in_bounded_time(build: Path, port: int, edge: dict[str, str]) -> None:
    environment = {"MODEL_STORE": "gs://models", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    with function(build / "tabular", port, **edge, **environment) as (url, _):
        answer = call(f"{url}/predict", json.dumps({"model_name": "tiny_classifier", "data": ROW}).encode())
        assert (answer.status, answer.headers["x-error-code"]) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert call(f"{url}/health").status == 200


def timing(answer: Answer) -> dict[str, float]:
    """The phases of ``Server-Timing``, in milliseconds."""
    parts = (part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    return {name: float(duration) for name, duration in parts}


@pytest.mark.parametrize("name", ["tiny_tagger", "tiny_classifier"])
def test_the_phases_of_a_cold_start_are_the_time_since_the_process_began(
    build: Path, bucket: FakeBucket, port: int, edge: dict[str, str], name: str
) -> None:
    environment = {"MODEL_STORE": "gs://models/team", "STORAGE_EMULATOR_HOST": bucket.url}
    data = {known: data for known, data, _ in QUESTIONS}[name]
    started = time.perf_counter()
    with function(build / FAMILIES[name], port, **edge, **environment) as (url, process):
        cold, warm = (call(f"{url}/predict", json.dumps({"data": data}).encode()) for _ in range(2))
        wall = (time.perf_counter() - started) * 1000
        [line] = [json.loads(line) for line in process.lines if '"message": "loaded' in line]
    phases = timing(cold)
    total = phases.pop("total")
    assert sum(phases.values()) == pytest.approx(total, abs=1)
    assert wall - 150 - timing(warm)["total"] < total < wall + 10
    assert list(phases) == [
        *("boot", "idle", "manifest", "verify", "import", "download", "load", "queue", "infer", "other")
    ]
    assert set(timing(warm)) == {"queue", "infer", "other", "total"}
    logged = line["phases"]
    assert sum(logged.values()) - logged["total"] == pytest.approx(logged["total"], abs=1)
    assert line["model"] == name


def test_every_answer_tells_its_time(tabular: tuple[str, Process]) -> None:
    for path in ("/health", "/nothing"):
        assert timing(call(tabular[0] + path))["total"] < 1000


def test_a_preloaded_instance_is_warm_at_its_first_request(
    build: Path, bucket: FakeBucket, port: int, edge: dict[str, str]
) -> None:
    environment = {"MODEL_STORE": "gs://models/team", "STORAGE_EMULATOR_HOST": bucket.url, "MODEL_PRELOAD": "true"}
    with function(build / "tabular", port, **edge, **environment) as (url, process):
        # It answers meanwhile.
        assert call(f"{url}/health").status == 200
        process.wait_for('{"severity": "INFO", "message": "POST /warmup 200"')
        answer = call(f"{url}/predict", json.dumps({"data": ROW}).encode())
        assert set(timing(answer)) == {"queue", "infer", "other", "total"}
        assert sum('"message": "loaded' in line for line in process.lines) == 1


def test_a_preload_that_fails_is_told_to_the_first_request(
    build: Path, port: int, edge: dict[str, str], tmp_path: Path
) -> None:
    environment = {"MODEL_STORE": str(tmp_path), "MODEL_NAME": "beer", "MODEL_PRELOAD": "true"}
    with function(build / "tabular", port, **edge, **environment) as (url, process):
        process.wait_for('{"severity": "INFO", "message": "POST /warmup 404"')
        answer = call(f"{url}/predict", json.dumps({"data": ROW}).encode())
        assert (answer.status, answer.headers["x-error-code"]) == (404, "model_not_found")


def test_a_bucket_that_dies_mid_download_is_503_and_leaves_nothing(
    build: Path, graph_store_folder: Path, port: int, edge: dict[str, str]
) -> None:
    with FakeBucket("models") as bucket:
        for path in graph_store_folder.rglob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                bucket.put(path.relative_to(graph_store_folder).as_posix(), path.read_bytes())
        fault = bucket.fault("read", "*weights.safetensors", times=None, stall=(1000, 60))
        environment = {"MODEL_STORE": "gs://models", "STORAGE_EMULATOR_HOST": bucket.url}
        with function(build / "token_classification", port, **edge, **environment) as (url, process):
            before, started = memory_mb(process), time.perf_counter()
            body = json.dumps({"data": TEXT}).encode()
            answer = call(f"{url}/predict", body)
            assert (answer.status, answer.headers["x-error-code"]) == (503, "store_unavailable"), answer.body
            assert int(answer.headers["retry-after"]) > 0
            assert time.perf_counter() - started < 20
            assert memory_mb(process) < before + 100
            fault.times = 0
            # The failure is remembered for a second.
            time.sleep(1.1)
            assert call(f"{url}/predict", body).status == 200


def memory_mb(process: Process) -> float:
    return tree_memory_mb(process.process.pid)


@pytest.fixture(scope="module")
def tabular(build: Path, edge: dict[str, str]) -> Iterator[tuple[str, Process]]:
    with function(build / "tabular", free_port(), **edge, BODY_TIMEOUT_SECONDS="1") as running:
        yield running


def raw(url: str, request: bytes, *, close: bool = False) -> tuple[int, bytes]:
    """What comes back for bytes that no client would send."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        if close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while block := connection.recv(65536):
            received += block
    return int(received.split()[1]), received


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
END = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BODY = json.dumps({"data": ROW}).encode()


def is_asgi(edge: dict[str, str]) -> bool:
    return edge == EDGES["asgi"]


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 200, None),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 200, None),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY, 100, b"HTTP/1.1 200"),
        (HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", 415, b"unsupported_media_type"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 400, b"invalid_encoding"),
        (HEAD + b"X-Request-Timeout-Ms: soon\r\nContent-Length: 2\r\n\r\n{}", 422, b'X-Request-Timeout-Ms is \\"soon'),
        (b"GET /predict?data=" + b"x" * 10_000 + END, 414, b"uri_too_long"),
        (b"GET /predict?data=1,2,3&data=3%2C2%2c1" + END, 200, b'"body": [{'),
        (b"GET /nope?%ff=%C3%BC" + END, 404, b"not_found"),
        (b"GET /%2e%2e/etc" + END, 404, b"not_found"),
        (b"GET /predict/%C3%BC" + END, 404, "predict/ü".encode()),
        (b"DELETE /predict" + END, 405, b"Allow: GET, OPTIONS, POST"),
        (b"TRACE /predict" + END, 405, b"method_not_allowed"),
        (b"HEAD /predict" + END, 405, b"X-Error-Code: method_not_allowed"),
        (b"OPTIONS /predict" + END, 204, b"Allow: GET, OPTIONS, POST"),
        (b"HEAD /health" + END, 200, b"Server-Timing: "),
        (
            b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-REQUEST-id: abc\r\n\r\n",
            200,
            b"X-Request-Id: abc",
        ),
    ],
)
def test_the_wire_is_read_strictly(
    tabular: tuple[str, Process], request_bytes: bytes, status: int, code: bytes | None
) -> None:
    # The framework's ASGI router serves the first request, and ours those after it.
    call(f"{tabular[0]}/health")
    found, received = raw(tabular[0], request_bytes)
    assert found == status, received
    assert code is None or code.lower() in received.lower()
    assert b"Traceback" not in received


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (HEAD + b"Content-Length: 500\r\n\r\n" + BODY, 400, b"incomplete_body"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n" + BODY + b"\r\n0\r\n\r\n", 400, b"invalid_request"),
        (b"GET /predict?data=" + b"x" * 100_000 + END, 414, b"uri_too_long"),
        (b"BREW /" + END, 405, b"method_not_allowed"),
    ],
)
def test_what_is_hardly_http_is_refused_by_us_or_by_the_server(
    tabular: tuple[str, Process], edge: dict[str, str], request_bytes: bytes, status: int, code: bytes
) -> None:
    call(f"{tabular[0]}/health")
    if not is_asgi(edge):
        found, received = raw(tabular[0], request_bytes, close=True)
        assert (found, code in received) == (status, True), received
    else:
        # uvicorn answers in plain text what it cannot read, and closes a connection that its caller has half closed.
        found, received = raw(tabular[0], request_bytes)
        assert 400 <= found < 500, received
    assert call(f"{tabular[0]}/health").status == 200


def test_chunks_over_the_limit_are_413_and_not_cut(tabular: tuple[str, Process]) -> None:
    chunk = b"x" * 65536
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for _ in range(540)) + b"0\r\n\r\n"
    status, received = raw(tabular[0], HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert status == 413, received[:300]


def test_a_local_key_serves_nothing_on_google_cloud(build: Path, port: int, edge: dict[str, str]) -> None:
    cloud = {"K_SERVICE": "tabular", "ACCESS": "keys", "MODEL_STORE": str(build / "store")}
    with function(build / "tabular", port, **edge, **cloud) as (url, _):
        answer = call(f"{url}/ready")
        assert (answer.status, answer.headers["x-error-code"]) == (503, "configuration_invalid")
        assert "which counts on a laptop only" in json.loads(answer.body)["error"]["message"]
        # Nor does it count for the list of keys.
        answer = call(url)
        assert (answer.status, answer.headers["x-error-code"]) == (503, "auth_unavailable")


def test_without_a_store_the_function_starts_and_says_what_is_missing(
    build: Path, port: int, edge: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(build / "tabular", tmp_path / "tabular")
    with function(tmp_path / "tabular", port, **edge) as (url, _):
        answer = call(f"{url}/predict", json.dumps({"data": ROW}).encode())
        assert answer.status == 503
        assert json.loads(answer.body)["error"]["message"].startswith("MODEL_STORE is not set.")


@contextmanager
def half_open(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections that stop in the middle: a quarter each before the request, in its head, before and in its body."""
    host, _, port = url.removeprefix("http://").partition(":")
    starts = (b"", HEAD[:40], HEAD + b"Content-Length: 100\r\n\r\n", HEAD + b"Content-Length: 100\r\n\r\n{")
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            connection.sendall(starts[number % len(starts)])
            connections.append(connection)
        yield connections


def test_two_hundred_half_open_connections_keep_nobody_waiting(build: Path, port: int) -> None:
    with function(build / "tabular", port, **EDGES["asgi"], THREADS="8") as (url, _), half_open(url, 200):
        started = time.perf_counter()
        answers = [call(f"{url}/predict", BODY) for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert time.perf_counter() - started < 15


def test_who_stops_in_the_middle_is_told_and_the_connection_closed(build: Path, port: int) -> None:
    with function(build / "tabular", port, **EDGES["asgi"], BODY_TIMEOUT_SECONDS="1") as (url, process):
        with half_open(url, 8) as connections:
            for connection in (connections[2], connections[3]):
                received = b""
                while block := connection.recv(65536):
                    received += block
                assert received.startswith(b"HTTP/1.1 408 "), received
                assert b"connection: close" in received.lower()
                assert b'"code": "body_timeout"' in received
            assert b"The body stopped after 1 bytes, for 1 s." in received
        process.wait_for('{"severity": "INFO", "message": "POST /predict 408"')
        assert call(f"{url}/predict", BODY).status == 200


def test_what_runs_is_finished_when_the_instance_ends(build: Path, bucket: FakeBucket, port: int, edge: Any) -> None:
    environment = {"MODEL_STORE": "gs://models/team", "STORAGE_EMULATOR_HOST": bucket.url}
    bucket.fault("read", "*wrapper.dill", stall=(10, 2))
    with function(build / "tabular", port, **edge, **environment) as (url, process), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(call, f"{url}/predict", BODY)
        time.sleep(1)
        process.process.send_signal(signal.SIGTERM)
        assert asked.result().status == 200
        assert process.process.wait(20) == 0
