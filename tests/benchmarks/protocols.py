"""What a protocol costs a request beside ``/predict``, and what a large tensor costs beside an echo of its bytes:
``python -m tests.benchmarks.protocols``.

Small bodies are four numbers of a model that doubles them, asked in every protocol in turn, over connections that stay
open, by both edges. The large tensor is 10 MB of float32 in the Open Inference Protocol's bytes, through a graph that
gives back what it gets; the echoes are bare functions under the same functions-framework, by both edges.
"""

import http.client
import json
import shutil
import statistics
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import helper

from deploy.project import BUILD
from deploy.publish import publish
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.onnx import OnnxWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests import tiny_graphs
from tests.benchmarks.figures import table
from tests.running import EDGES, free_port, function
from tests.tiny_graphs import tensor

FOLDER = BUILD / "bench" / "protocols"
ECHOES = Path(__file__).parent / "warm" / "functions"
ROUNDS, WARM_UP, LARGE_ROUNDS, LARGE_REQUESTS = 400, 30, 9, 5
#: Milliseconds, and a ratio.
SMALL_TARGET, LARGE_TARGET = 0.3, 1.3
LARGE = 2_500_000

ROW = [0.5, -1.0, 2.0, 3.5]
JSON = {"Content-Type": "application/json"}


class Asked(NamedTuple):
    """A request, and what is in its answer."""

    protocol: str
    path: str
    body: bytes
    headers: dict[str, str]
    says: bytes


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    publish_models()
    with running() as (ours, echoes):
        print(small(ours))
        print()
        print(large(ours, echoes))


def publish_models() -> None:
    # What an earlier run published is signed by a key that is gone.
    shutil.rmtree(FOLDER / "store", ignore_errors=True)
    key = SigningKey.generate()
    trusted = key.trusted("this run of the benchmark", local=True)
    (FOLDER / "trust.json").write_text(json.dumps({"keys": [trusted.entry()]}))
    repository = Repository(FolderStore(FOLDER / "store"), Trust([trusted]))
    doubling = [helper.make_node("Add", ["x", "x"], ["y"])]
    same = [helper.make_node("Identity", ["x"], ["y"])]
    for name, nodes, width in (("doubling", doubling, len(ROW)), ("same", same, "m")):
        ends = [tensor("x", ["n", width])], [tensor("y", ["n", width])]
        path = tiny_graphs.save(FOLDER / f"{name}.onnx", nodes, *ends)
        model = OnnxWrapper.from_source(str(path), batched=True)
        publish(model, name=name, examples=[ROW], repository=repository, key=key)


@contextmanager
def running() -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """The ports of ours, and of the echoes, by their edges. Everybody at once: who is not asked takes no time."""
    folder = stage("onnx", build=FOLDER)
    settings = {"MODEL_STORE": str(FOLDER / "store"), "MODEL_TRUST": str(FOLDER / "trust.json"), "LOG_LEVEL": "ERROR"}
    with ExitStack() as stack:
        ours, echoes = ({edge: free_port() for edge in EDGES} for _ in range(2))
        for edge, environment in EDGES.items():
            stack.enter_context(function(folder, ours[edge], **settings, **environment))
            stack.enter_context(function(ECHOES / f"echo_{edge}", echoes[edge], **environment))
        yield ours, echoes


def requests() -> list[Asked]:
    """The same row in every protocol; the first is ours, which the others are compared with."""
    name, answer = "doubling", json.dumps([2 * value for value in ROW]).encode()
    one = {"name": "x", "shape": [1, len(ROW)], "datatype": "FP32"}
    packed = struct.pack(f"<{len(ROW)}f", *ROW)
    doubled = struct.pack(f"<{len(ROW)}f", *(2 * value for value in ROW))

    def asked(protocol: str, path: str, body: Any) -> Asked:
        return Asked(protocol, path, json.dumps(body).encode(), JSON, answer)

    return [
        asked("/predict", "/predict", {"model_name": name, "data": ROW}),
        asked("Open Inference, JSON", f"/v2/models/{name}/infer", {"inputs": [one | {"data": ROW}]}),
        in_bytes("Open Inference, bytes", name, one, packed, doubled),
        asked("TF Serving, rows", f"/v1/models/{name}:predict", {"instances": [ROW]}),
        asked("TF Serving, columns", f"/v1/models/{name}:predict", {"inputs": {"x": [ROW]}}),
        asked("TorchServe", f"/predictions/{name}", ROW),
        asked("Vertex AI", f"/v1/projects/p/locations/l/endpoints/{name}:predict", {"instances": [ROW]}),
        asked("MLflow", f"/invocations?model_name={name}", {"instances": [ROW]}),
        asked("Hugging Face", f"/models/{name}", {"inputs": ROW}),
        asked("the tutorial's", "/predict_proxy", {"model_name": name, "data": ROW}),
    ]


def in_bytes(protocol: str, model: str, tensor: dict[str, Any], data: bytes, says: bytes) -> Asked:
    """Bytes in, bytes out."""
    record = tensor | {"parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [record], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Asked(protocol, f"/v2/models/{model}/infer", head + data, headers, says)


def small(ports: dict[str, int]) -> str:
    """Median milliseconds of each protocol, and what it takes longer than ``/predict``, asked in turn with it."""
    rows = []
    asked = requests()
    found = {edge: medians(port, asked, ROUNDS) for edge, port in ports.items()}
    for place, one in enumerate(asked):
        cells = [one.protocol]
        for edge in ports:
            own, ours = found[edge][place], found[edge][0]
            cells += [f"{own:.3f}", f"{own - ours:+.3f}"]
        rows.append(cells)
    head = ["protocol", *(f"{edge}{what}" for edge in ports for what in (" ms", ", beside /predict"))]
    return f"{table(head, rows)}\nTarget: at most {SMALL_TARGET} ms beside /predict."


def large(ours: dict[str, int], echoes: dict[str, int]) -> str:
    """Median milliseconds of the large tensor, and its ratio to echoes of the same bytes, a few requests in turn."""
    data = np.random.default_rng(0).normal(size=LARGE).astype(np.float32).tobytes()
    asked = in_bytes("", "same", {"name": "x", "shape": [1, LARGE], "datatype": "FP32"}, data, data)
    rows = []
    for edge in EDGES:
        servers = {"ours": ours[edge], "echo": echoes["flask"], "own echo": echoes[edge]}
        times: dict[str, list[float]] = {name: [] for name in servers}
        with ExitStack() as stack:
            clients = {name: stack.enter_context(connected(port)) for name, port in servers.items()}
            for turn in range(LARGE_ROUNDS + 1):
                for name, client in clients.items():
                    seconds = [ask(client, asked) for _ in range(LARGE_REQUESTS)]
                    # The first round warms up.
                    times[name] += [statistics.median(seconds) * 1000] if turn else []
        cells = [edge, *(f"{statistics.median(one):.1f}" for one in times.values())]
        for name in ("echo", "own echo"):
            pairs = zip(times["ours"], times[name], strict=True)
            cells.append(f"{statistics.median(own / other for own, other in pairs):.2f}")
        rows.append(cells)
    head = ["10 MB of float32", "ms", "Flask's echo", "its edge's echo", "beside Flask's", "beside its edge's"]
    return f"{table(head, rows)}\nTarget: at most {LARGE_TARGET} beside Flask's echo."


def medians(port: int, asked: list[Asked], rounds: int) -> list[float]:
    times: list[list[float]] = [[] for _ in asked]
    with connected(port) as client:
        for turn in range(rounds + WARM_UP):
            for place, one in enumerate(asked):
                seconds = ask(client, one)
                if turn >= WARM_UP:
                    times[place].append(seconds * 1000)
    return [statistics.median(one) for one in times]


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield client
    finally:
        client.close()


def ask(client: http.client.HTTPConnection, asked: Asked) -> float:
    """Seconds until the answer is there. Raises ValueError for a wrong one."""
    began = time.perf_counter()
    client.request("POST", asked.path, asked.body, asked.headers)
    response = client.getresponse()
    body = response.read()
    seconds = time.perf_counter() - began
    if response.status != 200 or (not body.endswith(asked.says) and asked.says not in body):
        raise ValueError(f"{asked.protocol} answers {response.status}: {body[:300]!r}")
    return seconds


if __name__ == "__main__":
    main()
