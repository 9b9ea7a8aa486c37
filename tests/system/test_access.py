"""Real functions that are not open to everybody: keys come and go in their bucket while they serve."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stage import stage
from model_functions.access.keys import KEYS_NAME
from model_functions.artifact.signing_key import SigningKey
from model_functions.store import open_store
from tests.fakes.bucket import FakeBucket
from tests.made_keys import MadeKey, Writer, made
from tests.running import EDGES, Answer, Process, call, free_port, function
from tests.system.conftest import ROW

REFRESH_S = 2
PREDICTION = json.dumps({"model_name": "tiny_classifier", "data": ROW}).encode()
LISTS = f"team/{KEYS_NAME}"


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, trust_file: Path) -> Path:
    folder = stage("tabular", build=tmp_path_factory.mktemp("guarded"))
    shutil.copy(trust_file, folder / "trust.json")
    return folder


@pytest.fixture
def keys(bucket: FakeBucket, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    store = open_store("gs://models/team")
    yield Writer(store, key)
    bucket.heal()
    bucket.buckets["models"].retire(LISTS)


@contextmanager
def guarded(staged: Path, bucket: FakeBucket, edge: str = "asgi", **more: str) -> Iterator[tuple[str, Process]]:
    access = {"ACCESS": "keys", "ACCESS_REFRESH_SECONDS": str(REFRESH_S)}
    store = {"MODEL_STORE": "gs://models/team", "STORAGE_EMULATOR_HOST": bucket.url}
    with function(staged, free_port(), **EDGES[edge], **(store | access | more)) as running:
        yield running


def predict(url: str, key: MadeKey | None) -> Answer:
    return call(f"{url}/predict", PREDICTION, **({"X-Api-Key": key.text} if key else {}))


def until(happened: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("edge", EDGES)
def test_keys_come_and_go_while_a_function_serves(staged: Path, bucket: FakeBucket, keys: Writer, edge: str) -> None:
    old, new, ping = made(), made(), made(may=("warm",))
    with guarded(staged, bucket, edge) as (url, process):
        for target, data in (("/predict", PREDICTION), ("/ready", None), ("/docs", None)):
            answer = call(url + target, data)
            assert (answer.status, answer.headers["x-error-code"]) == (503, "auth_unavailable"), "there is no list"
        keys.write(old, ping)
        until(lambda: predict(url, old).status == 200, 5 + 1)
        assert (predict(url, None).status, predict(url, new).status, predict(url, ping).status) == (401, 401, 403)
        assert predict(url, None).headers["www-authenticate"].startswith("ApiKey")

        statuses = rotated(url, keys, old, new)
        assert set(statuses) == {200}
        assert len(statuses) > 30

        keys.write(replace(new.record, revoked=1), ping)
        assert until(lambda: predict(url, new).status == 401, REFRESH_S + 1) > 0
        assert {predict(url, new).status for _ in range(20)} == {401}

        warmed = json.dumps({"model_name": "tiny_classifier"}).encode()
        assert call(f"{url}/warmup", warmed, **{"X-Api-Key": ping.text}).status == 200
    lines = "\n".join(process.lines)
    for key in (old, new, ping):
        assert key.text.split("_", 3)[3] not in lines
    assert "Traceback" not in lines.replace("Traceback (most recent call last):\\n", ""), "but in a log line of its own"


def rotated(url: str, keys: Writer, old: MadeKey, new: MadeKey) -> list[int]:
    """The answers to who changes from the one key to the other while both count."""
    statuses: list[int] = []
    current, ended = [old], threading.Event()

    def ask() -> None:
        while not ended.is_set():
            statuses.append(predict(url, current[0]).status)
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    keys.write(old, new)
    until(lambda: predict(url, new).status == 200, REFRESH_S + 1)
    current[0] = new
    time.sleep(0.1)
    keys.write(replace(old.record, revoked=1), new)
    until(lambda: predict(url, old).status == 401, REFRESH_S + 1)
    ended.set()
    thread.join()
    return statuses


def test_a_list_that_cannot_be_read_again_hurts_nobody_for_a_while(
    staged: Path, bucket: FakeBucket, keys: Writer
) -> None:
    key, revoked = made(), made()
    keys.write(key, revoked)
    with guarded(staged, bucket) as (url, process):
        until(lambda: predict(url, key).status == 200, 6)
        keys.write(key, replace(revoked.record, revoked=1))
        until(lambda: predict(url, revoked).status == 401, REFRESH_S + 1)
        faults: list[Callable[[], object]] = [
            lambda: keys.write_bytes(b"garbage"),
            lambda: bucket.buckets["models"].retire(LISTS),
            lambda: bucket.fault("read", LISTS, times=None, status=403),
            lambda: bucket.fault("read", LISTS, times=None, black_hole=True),
        ]
        for fault in faults:
            bucket.heal()
            fault()
            ends = time.monotonic() + REFRESH_S
            while time.monotonic() < ends:
                statuses = [predict(url, who).status for who in (key, revoked, None)]
                assert statuses == [200, 401, 401]
                time.sleep(0.05)
        alerts = [json.loads(line) for line in process.lines if "the key list cannot be read again" in line]
    assert len(alerts) >= 3, process.lines
    assert {alert["severity"] for alert in alerts} == {"ERROR"}
    assert all(0 < alert["last_one_counts_s"] <= 600 for alert in alerts)


def test_the_list_is_read_twice_a_refresh_whoever_asks(staged: Path, bucket: FakeBucket, keys: Writer) -> None:
    key = made()
    keys.write(key)
    with guarded(staged, bucket) as (url, _):
        before, began = bucket.count("read", LISTS), time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            ends = began + 3
            while time.monotonic() < ends:
                wrong = pool.map(lambda _: predict(url, made()).status, range(50))
                assert set(wrong) == {401}
        seconds = time.monotonic() - began
        assert bucket.count("read", LISTS) - before <= 2 * seconds / REFRESH_S + 1


def test_a_hundred_warm_ups_at_once_are_one_load(staged: Path, bucket: FakeBucket, keys: Writer) -> None:
    ping, user = made(may=("warm",)), made()
    keys.write(ping, user)
    before = bucket.count("read", "*tiny_classifier*wrapper.dill")
    asked = json.dumps({"model_name": "tiny_classifier"}).encode()
    with guarded(staged, bucket, THREADS="100") as (url, _), ThreadPoolExecutor(100) as pool:
        assert call(f"{url}/warmup", asked, **{"X-Api-Key": user.text}).status == 403
        assert call(f"{url}/warmup", asked).status == 401
        unknown = b'{"model_name": "nothing"}'
        assert call(f"{url}/warmup", unknown, **{"X-Api-Key": ping.text}).status == 404
        answers = list(pool.map(lambda _: call(f"{url}/warmup", asked, **{"X-Api-Key": ping.text}), range(100)))
    assert {answer.status for answer in answers} == {200}
    assert bucket.count("read", "*tiny_classifier*wrapper.dill") == before + 1


@pytest.mark.parametrize("edge", EDGES)
def test_on_google_cloud_a_function_that_says_nothing_of_access_serves_nobody(
    staged: Path, bucket: FakeBucket, edge: str
) -> None:
    with guarded(staged, bucket, edge, K_SERVICE="tabular", ACCESS="") as (url, _):
        for target, data in (("/predict", PREDICTION), ("/", None), ("/ready", None), ("/v2/models", None)):
            answer = call(url + target, data)
            assert (answer.status, answer.headers["x-error-code"]) == (503, "auth_unavailable"), target
        assert b"ACCESS is not set, so that nobody is let in." in answer.body
        assert call(f"{url}/health").status == 200


def test_a_cold_function_has_read_its_list_before_anybody_asks(staged: Path, bucket: FakeBucket, keys: Writer) -> None:
    key = made()
    keys.write(key)
    before = bucket.count("read", LISTS)
    with guarded(staged, bucket) as (url, _):
        # Only its health has been asked for.
        until(lambda: bucket.count("read", LISTS) == before + 1, 5)
        assert predict(url, key).status == 200
