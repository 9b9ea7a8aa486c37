"""What it costs to ask who asks: ``python -m tests.benchmarks.access``.

The guard alone, in process: a request with a key, with an ID token, with a wrong key whose first character is wrong and
one whose last is, which must take as long. Then cold starts of a tiny model from a bucket that takes 30 ms for every
answer, for everybody and by key in turn: the list of keys is read while the server starts.
"""

import json
import os
import random
import shutil
import socket
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.project import BUILD
from deploy.publish import publish
from deploy.stage import stage
from model_functions.access.doorkeeper import Doorkeeper
from model_functions.access.keyring import keyring
from model_functions.access.keys import KeyList
from model_functions.access.tokens import IdTokens
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import Unauthenticated
from model_functions.families.onnx import OnnxWrapper
from model_functions.repository import Repository
from model_functions.store.bucket import BucketStore
from model_functions.store.credentials import AccessTokens
from tests import tiny_graphs
from tests.fakes.bucket import FakeBucket
from tests.fakes.id_tokens import ACCOUNT, AUDIENCE, FakeGoogle
from tests.made_keys import MadeKey, Writer, made
from tests.running import EDGES, Process, clean_environment, free_port

FOLDER = BUILD / "bench" / "access"
CHECKS, PAIRS, LATENCY_S = 20_000, 10, 0.03
ROW = [0.5, -1.0, 2.0]


def main() -> None:
    guard_alone()
    cold_starts()


def guard_alone() -> None:
    key = made("tabular/*", rate=1e6)
    others = tuple(made().record for _ in range(100))
    with FakeGoogle() as google:
        tokens = IdTokens({ACCOUNT: ("predict",)}, (AUDIENCE,), host=google.host)
        guard = Doorkeeper(keyring(lambda: KeyList(1, (*others, key.record)), 30), tokens)
        bearer = {"authorization": f"Bearer {google.token()}"}
        guard.admit(bearer, "predict")
        guard.admit(key.headers, "predict")
        print(f"accepted key     {microseconds(lambda: admitted(guard, key.headers)):6.2f} µs")
        print(f"accepted token   {microseconds(lambda: admitted(guard, bearer)):6.2f} µs")
    secret = len(key.text) - 45
    first, last = (wrong(key, place) for place in (secret, len(key.text) - 1))
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(CHECKS):
        which = random.randrange(2)
        began = time.perf_counter_ns()
        refused(guard, (first, last)[which])
        times[which].append(time.perf_counter_ns() - began)
    early, late = statistics.median(times[0]) / 1000, statistics.median(times[1]) / 1000
    print(f"refused key      {early:6.2f} µs where its first character is wrong, {late / early - 1:+.2%} at its last")


def admitted(guard: Doorkeeper, headers: Mapping[str, str]) -> None:
    """As the front door asks, and then the function for its model."""
    if guard.is_fresh(headers):
        identity = guard.admit(headers, "predict")
        identity.take()
        identity.check("tabular", "wine")


def refused(guard: Doorkeeper, headers: Mapping[str, str]) -> None:
    try:
        guard.admit(headers, "predict")
    except Unauthenticated:
        return
    raise AssertionError("let in")


def wrong(key: MadeKey, place: int) -> dict[str, str]:
    other = "A" if key.text[place] != "A" else "B"
    return {"x-api-key": key.text[:place] + other + key.text[place + 1 :]}


def microseconds(call: Callable[[], None]) -> float:
    """The best of some rounds, each."""
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            call()
        rounds.append((time.perf_counter() - began) * 1000)
    return min(rounds)


def cold_starts() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    signer, key = SigningKey.generate(), made()
    with FakeBucket("models") as bucket:
        folder = staged(bucket, signer, key)
        bucket.fault("read", times=None, latency=LATENCY_S)
        environment = {"STORAGE_EMULATOR_HOST": bucket.url, "MODEL_STORE": "gs://models"}
        seconds: dict[str, list[float]] = {"open": [], "keys": []}
        for turn in range(PAIRS):
            for access in ("open", "keys") if turn % 2 else ("keys", "open"):
                more = {"ACCESS": "keys"} if access == "keys" else {}
                seconds[access].append(first_answer(folder, key, environment | more))
    for access, found in seconds.items():
        print(
            f"cold, {access:4}       {statistics.median(found) * 1000:6.0f} ms to the first answer (median of {PAIRS})"
        )
    pairs = [(keys - open_) * 1000 for open_, keys in zip(seconds["open"], seconds["keys"], strict=True)]
    print(f"by key           {statistics.median(pairs):+6.0f} ms, the median of the pairs")


def staged(bucket: FakeBucket, signer: SigningKey, key: MadeKey) -> Path:
    """The function's folder; its model and the list of keys are in the bucket."""
    store = BucketStore(bucket.url, "models", "", AccessTokens(None))

    os.environ["STORAGE_EMULATOR_HOST"] = bucket.url
    repository = Repository(store, Trust([signer.trusted()]))
    wrapper = OnnxWrapper.from_source(str(tiny_graphs.linear(FOLDER / "linear.onnx")))
    publish(wrapper, name="linear", examples=[ROW], repository=repository, key=signer, engine="onnxruntime")
    Writer(store, signer).write(key)
    folder = stage("onnx", build=FOLDER)
    (folder / "trust.json").write_text(json.dumps({"keys": [signer.trusted().entry()]}))
    return folder


def first_answer(folder: Path, key: MadeKey, environment: dict[str, str]) -> float:
    """Seconds from exec to a prediction, which is sent as soon as the port is open, as Cloud Run does it."""
    port = free_port()
    program = str(Path(sys.executable).with_name("functions-framework"))
    command = [program, "--target", "predict", "--source", str(folder / "main.py"), "--port", str(port)]
    began = time.perf_counter()
    process = Process([*command, "--host", "127.0.0.1"], folder, clean_environment(**EDGES["asgi"], **environment))
    try:
        body = json.dumps({"model_name": "linear", "data": ROW}).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key.text}\r\nContent-Length: {len(body)}\r\n"
        with connected(port) as connection:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        seconds = time.perf_counter() - began
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(answer.decode() + "\n".join(process.lines))
        return seconds
    finally:
        process.stop()


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


if __name__ == "__main__":
    main()
