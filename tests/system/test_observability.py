"""What a function in a process of its own tells: its log and its spans, by both edges."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.project import ROOT
from deploy.stage import stage
from tests.fakes.collector import FakeCollector, attributes
from tests.fakes.metadata import FakeMetadataServer
from tests.running import EDGES, Process, call, clean_environment, free_port, function, until_it_answers

pytestmark = pytest.mark.slow

CANARY = "canary-7f3a"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"

#: What a request may wait for whoever reads the log.
BOUND_S = 0.1


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    command = [sys.executable, "-m", "deploy", "publish", str(Path(__file__).parent / "loud"), "--name", "loud"]
    environment = clean_environment(MODEL_STORE=str(folder / "store"))
    subprocess.run([*command, "--example", "one", "--trust"], cwd=ROOT, env=environment, check=True)
    stage("tabular", build=folder)
    stage("gateway", build=folder)
    return folder


@contextmanager
def running(build: Path, edge: dict[str, str], family: str = "tabular", **more: str) -> Iterator[tuple[str, Process]]:
    store = {"MODEL_STORE": str(build / "store"), "GOOGLE_CLOUD_PROJECT": "mine"}
    with function(build / family, free_port(), **(store | edge | more)) as running:
        yield running


def ask(url: str, text: str, **headers: str) -> int:
    body = json.dumps({"model_name": "loud", "data": text}).encode()
    return call(f"{url}/predict", body, **headers).status


def entries(process: Process) -> list[dict[str, Any]]:
    """Every line that was written: each must be one of ours."""
    return [json.loads(line) for line in process.lines if line]


def said(found: list[dict[str, Any]], logger: str) -> dict[str, Any]:
    [one] = [entry for entry in found if entry["logger"] == logger]
    return one


@pytest.mark.parametrize("logs_executions", ["true", "false"])
def test_whatever_is_said_is_in_our_form_and_no_input_is(
    build: Path, edge: dict[str, str], logs_executions: str
) -> None:
    headers = {"traceparent": PARENT, "Function-Execution-Id": "abc1", "X-Request-Id": "id1"}
    with running(build, edge, LOG_EXECUTION_ID=logs_executions) as (url, process):
        assert ask(url, f"whispers {CANARY}") == 200
        for way in ("warns", "logs", "threads"):
            assert ask(url, f"{way} {CANARY}") == 200
        assert ask(url, f"raises {CANARY}", **headers) == 500
        process.stop()
    found = entries(process)
    assert CANARY not in "\n".join(process.lines)
    assert said(found, "somebodys.library")["message"] == "a library's words"
    assert "this estimator is old" in said(found, "py.warnings")["message"]
    thread = said(found, "model_functions.process_logs")
    assert (thread["severity"], thread["message"]) == ("ERROR", "helper ended")
    assert "in _fail" in thread["stack_trace"]
    failed = [entry for entry in found if entry.get("request_id") == "id1"]
    assert [entry["severity"] for entry in failed] == ["ERROR", "ERROR"]
    error = next(entry for entry in failed if "stack_trace" in entry)
    assert error["stack_trace"].splitlines()[-1].startswith("ValueError: (")
    for entry in failed:
        assert entry["logging.googleapis.com/trace"] == f"projects/mine/traces/{TRACE}"
        assert entry["logging.googleapis.com/labels"] == {"execution_id": "abc1"}
    assert {entry["model"] for entry in found if entry["message"].startswith("POST /predict 200")} == {"loud"}


def test_no_line_is_lost_where_the_process_ends_right_behind_its_requests(build: Path, edge: dict[str, str]) -> None:
    with running(build, edge) as (url, process), ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda number: ask(url, "one", **{"X-Request-Id": f"id{number}"}), range(100))) == {200}
        process.stop()
    ids = [entry["request_id"] for entry in entries(process) if entry.get("request_id", "").startswith("id")]
    assert sorted(ids) == sorted(f"id{number}" for number in range(100))


def test_the_instance_asks_google_cloud_whose_traces_they_are(build: Path, edge: dict[str, str]) -> None:
    with FakeMetadataServer() as metadata:
        google = {
            "K_SERVICE": "tabular",
            "K_REVISION": "tabular-7",
            "GCE_METADATA_HOST": metadata.host,
            "ACCESS": "iam",
        }
        with running(build, edge, **google, GOOGLE_CLOUD_PROJECT="") as (url, process):
            deadline = time.monotonic() + 10
            prefix = "projects/project/traces/"
            while not any(prefix in line for line in process.lines):
                assert time.monotonic() < deadline, process.lines
                call(f"{url}/health", traceparent=PARENT)


def test_a_function_that_cannot_be_imported_says_so_in_our_form(build: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(build / "tabular", tmp_path / "tabular")
    family = broken / "model_functions" / "families" / "tabular.py"
    family.write_text('"""Broken."""\n\nraise RuntimeError("no such thing")\n')
    process = subprocess.run(
        [Path(sys.executable).parent / "functions-framework", "--target", "predict", "--source", broken / "main.py"],
        env=clean_environment(PORT=str(free_port())),
        capture_output=True,
        text=True,
    )
    assert process.returncode != 0
    entry = json.loads(process.stdout)
    assert (entry["severity"], entry["message"]) == ("CRITICAL", "RuntimeError: no such thing")
    assert 'tabular.py", line 3' in entry["stack_trace"]


@pytest.mark.parametrize("ends", ["reads nothing", "is gone"])
def test_whoever_reads_the_log_keeps_nobody_waiting(build: Path, edge: dict[str, str], ends: str) -> None:
    port = free_port()
    command = [str(Path(sys.executable).parent / "functions-framework"), "--target", "predict"]
    environment = clean_environment(MODEL_STORE=str(build / "store"), **edge)
    place = ["--source", str(build / "tabular" / "main.py"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, *place], cwd=build, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_answers(url, Silent(process))
        assert ask(url, "one") == 200
        assert process.stdout is not None
        if ends == "is gone":
            process.stdout.close()
        took = []
        for _ in range(600):
            began = time.perf_counter()
            assert ask(url, "one") == 200
            took.append(time.perf_counter() - began)
        # Its load's, and this machine's, own moments are not the log's: those would go on.
        assert sorted(took)[-6] < BOUND_S
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


class Silent(Process):
    """A process whose lines nobody reads."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process  # type: ignore[assignment]
        self.lines = []


@contextmanager
def relayed(url: str) -> Iterator[str]:
    """Where the gateway finds the function: its name before its paths."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = call(url + self.path.removeprefix("/tabular"), body, **headers)
            self.send_response(answer.status)
            for name in ("content-length", "content-type", "x-request-id", "x-model-revision"):
                self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_gateways_span_and_its_functions_are_of_one_trace(build: Path, edge: dict[str, str]) -> None:
    with FakeCollector() as collector:
        exports = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        with running(build, edge, OTEL_SERVICE_NAME="wines", **exports) as (url, tabular):
            more = {"OTEL_SERVICE_NAME": "front"} | exports
            with relayed(url) as site, running(build, edge, "gateway", FUNCTIONS_URL=site, **more) as (gateway, _):
                assert ask(gateway, "one", traceparent=PARENT) == 200
            assert tabular.process.poll() is None
        # Both have ended long before the next batch was due: what was left has been sent.
        found = collector.until(lambda spans: sum(span.name == "POST /predict" for span in spans) == 2)
    # Nobody but the tests has asked for /health.
    found = [span for span in found if span.trace_id.hex() == TRACE]
    front = next(span for span in found if span.parent_span_id.hex() == SPAN)
    behind = next(span for span in found if span.name == "POST /predict" and span is not front)
    assert behind.parent_span_id == front.span_id
    assert attributes(behind)["model_functions.model"] == "loud"
    names = {span.name for span in found if span.parent_span_id == behind.span_id}
    assert {"manifest", "import", "load", "infer"} <= names
    assert {resource["service.name"] for resource in collector.resources} == {"wines", "front"}


def test_a_function_whose_exporter_is_not_installed_serves(build: Path, tmp_path: Path) -> None:
    lacking = shutil.copytree(build / "tabular", tmp_path / "tabular")
    hides = 'import sys\n\nsys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None\n'
    (lacking / "main.py").write_text(hides + (lacking / "main.py").read_text())
    environment = {"MODEL_STORE": str(build / "store"), "OTEL_TRACES_EXPORTER": "otlp"} | EDGES["asgi"]
    with function(lacking, free_port(), **environment) as (url, process):
        assert ask(url, "one") == 200
        deadline = time.monotonic() + 10
        while not any("opentelemetry-exporter-otlp-proto-http" in line for line in process.lines):
            assert time.monotonic() < deadline, process.lines
            assert ask(url, "one") == 200
