import datetime
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from model_functions.errors import StoreUnavailable
from model_functions.store.bucket import BucketStore, Patience
from model_functions.store.credentials import AccessTokens, Token, access_tokens, google_auth_token
from tests.fakes.bucket import FakeBucket
from tests.fakes.metadata import FakeMetadataServer

SHARED = Path(__file__).parents[3] / "shared"


class Source:
    """Gives t1, t2 … for so many seconds each."""

    def __init__(self, lifetime_s: float = 3600) -> None:
        self.given = 0
        self.lifetime_s = lifetime_s

    def __call__(self) -> Token:
        time.sleep(0.02)
        self.given += 1
        return f"t{self.given}", time.time() + self.lifetime_s


def test_many_threads_fetch_one_token() -> None:
    source = Source()
    tokens, gate = AccessTokens(source), threading.Barrier(32)

    def headers(_: int) -> dict[str, str]:
        gate.wait()
        return tokens.headers()

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(headers, range(32))) == [{"Authorization": "Bearer t1"}] * 32
    assert source.given == 1


def test_a_token_is_renewed_before_it_ends() -> None:
    tokens = AccessTokens(Source(lifetime_s=200))
    assert [tokens.headers()["Authorization"] for _ in range(2)] == ["Bearer t1", "Bearer t2"]


def test_a_token_that_the_bucket_refuses_is_replaced() -> None:
    with FakeBucket("models", required_token="t2") as bucket:
        bucket.put("x", b"1")
        store = BucketStore(bucket.url, "models", "", AccessTokens(Source()), Patience(pause=0.01))
        assert store.read("x").data == b"1"
        assert [call.status for call in bucket.calls] == [401, 200]


def test_a_token_that_stays_refused_is_said_in_bounded_time() -> None:
    with FakeBucket("models", required_token="other") as bucket:
        store = BucketStore(bucket.url, "models", "", AccessTokens(Source()), Patience(pause=0.01, read=0.3))
        with pytest.raises(StoreUnavailable, match="The store denies access to x"):
            store.read("x")


def test_google_auths_moments_are_utc() -> None:
    class Credentials:
        token = "t"
        expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(hours=1)

        def refresh(self, _: Any) -> None:
            pass

    assert google_auth_token(Credentials())()[1] == pytest.approx(time.time() + 3600, abs=5)


def test_a_metadata_server_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"K_SERVICE": "f", "GCE_METADATA_HOST": "127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(StoreUnavailable, match="The metadata server gives no access token"):
        access_tokens().headers()


READ = (
    "import sys\n"
    "from model_functions.store.bucket import BucketStore\n"
    "from model_functions.store.credentials import access_tokens\n"
    "store = BucketStore(sys.argv[1], 'models', '', access_tokens())\n"
    "print(store.read('x').data.decode(), *sys.modules)\n"
)


@pytest.mark.parametrize("on_google_cloud", [False, True])
def test_reading_imports_no_client_of_googles(on_google_cloud: bool) -> None:
    token = "from the metadata server" if on_google_cloud else ""
    with FakeMetadataServer(access_token=token) as metadata, FakeBucket("models", required_token=token) as bucket:
        bucket.put("x", b"bytes")
        cloud = {"K_SERVICE": "f", "GCE_METADATA_HOST": metadata.host}
        environment = cloud if on_google_cloud else {"STORAGE_EMULATOR_HOST": bucket.url}
        done = subprocess.run(
            [sys.executable, "-c", READ, bucket.url],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SHARED)} | environment,
            capture_output=True,
            text=True,
            check=True,
        )
    data, *modules = done.stdout.split()
    assert data == "bytes"
    assert not {"google.cloud.storage", "google.auth", "requests", "urllib3", "numpy"} & set(modules)
