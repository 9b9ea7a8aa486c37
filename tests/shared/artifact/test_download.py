import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_functions.artifact import stream
from model_functions.artifact.download import AS_IT_IS, THREADS, Download
from model_functions.artifact.manifest import CHUNK_SIZE, FileEntry, WeightsLayout
from model_functions.engines import Half
from model_functions.errors import DigestMismatch, ObjectNotFound, StoreUnavailable
from model_functions.store import NEW
from model_functions.store.bucket import BucketStore, Patience
from model_functions.store.folder import FolderStore
from tests.fakes.bucket import FakeBucket

CHUNK = 1000
DATA = os.urandom(20 * CHUNK + 7)
ENTRY = FileEntry.of(DATA, CHUNK)
HASTY = Patience(pause=0.02, connect=0.2, answer=0.2, read=0.45)


@pytest.fixture
def store(fake_bucket: FakeBucket) -> BucketStore:
    fake_bucket.put("x", DATA)
    return BucketStore.at("gs://models", HASTY)


def downloaded(store: BucketStore | FolderStore, entry: FileEntry = ENTRY, layout: WeightsLayout = AS_IT_IS) -> bytes:
    return bytes(Download(store, "x", entry, layout).wait().memory)


def ended() -> bool:
    """Whether the threads of all downloads end."""
    deadline = time.monotonic() + 5
    while any(thread.name == "download" for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_every_chunk_is_fetched_once(fake_bucket: FakeBucket, store: BucketStore) -> None:
    assert downloaded(store) == DATA
    assert sorted(call.headers["range"] for call in fake_bucket.calls) == sorted(
        f"bytes={start}-{min(start + CHUNK, len(DATA)) - 1}" for start in range(0, len(DATA), CHUNK)
    )
    assert ended()


def test_a_folder_is_read_in_the_same_way(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("x", DATA, generation=NEW)
    assert downloaded(store) == DATA


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_bytes_behind_those_that_were_signed_are_refused(
    store: BucketStore, fake_bucket: FakeBucket, tmp_path: Path, kind: str
) -> None:
    longer = DATA + b"x"
    fake_bucket.put("x", longer)
    folder = FolderStore(tmp_path)
    folder.write("x", longer, generation=NEW)
    with pytest.raises(DigestMismatch) as caught:
        downloaded(store if kind == "bucket" else folder)
    assert caught.value.message == f"x has {len(longer)} bytes, and {len(DATA)} were signed. Publish the model again."


def test_chunks_come_side_by_side(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.fault("read", times=None, after=1, latency=0.1)
    started = time.monotonic()
    assert downloaded(store) == DATA
    # One after the other they take 2.1 s.
    assert time.monotonic() - started < 0.1 * len(ENTRY.chunks) * 0.8


@pytest.mark.parametrize(
    "fault",
    [{"corrupt": 5 * CHUNK + 3}, {"cut": 100}, {"stall": (100, 20)}, {"status": 503}, {"truncate": 500}],
    ids=str,
)
def test_a_chunk_that_fails_is_fetched_again_and_no_other(
    fake_bucket: FakeBucket, store: BucketStore, fault: dict[str, Any]
) -> None:
    fake_bucket.fault("read", **fault)
    assert downloaded(store) == DATA
    assert fake_bucket.count("read") == len(ENTRY.chunks) + 1


def test_a_chunk_that_stays_wrong_is_named(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.fault("read", times=None, corrupt=5 * CHUNK + 3)
    with pytest.raises(DigestMismatch) as caught:
        downloaded(store)
    assert caught.value.message == "Bytes 5000 to 5999 of x are not those that were signed. Publish the model again."
    assert ended()


@pytest.mark.parametrize("changed", [DATA[:-1], DATA[: 3 * CHUNK], b"", DATA[CHUNK:] + DATA[:CHUNK]], ids=len)
def test_another_file_is_refused(fake_bucket: FakeBucket, changed: bytes) -> None:
    fake_bucket.put("x", changed)
    with pytest.raises(DigestMismatch, match="Publish the model again"):
        downloaded(BucketStore.at("gs://models", HASTY))
    assert ended()


def test_a_store_that_dies_half_way_is_given_up_in_bounded_time(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.fault("read", times=None, after=8, black_hole=True)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"for x\. Try again\."):
        downloaded(store)
    assert time.monotonic() - started < 10
    assert ended()


def test_a_missing_file_is_said(fake_bucket: FakeBucket) -> None:
    with pytest.raises(ObjectNotFound):
        downloaded(BucketStore.at("gs://models", HASTY))


def test_a_download_that_is_cancelled_stops(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.fault("read", times=None, latency=0.05)
    download = Download(store, "x", ENTRY)
    download.cancel()
    assert ended()
    assert fake_bucket.count("read") <= THREADS


def test_its_threads_end_with_it_though_their_chunks_come_slowly(fake_bucket: FakeBucket) -> None:
    """A chunk of a model comes for 40 s from the slowest store that is waited for."""
    data = os.urandom(8 * CHUNK_SIZE)
    fake_bucket.put("x", data)
    fake_bucket.fault("read", times=None, bandwidth=150_000)
    download = Download(BucketStore.at("gs://models"), "x", FileEntry.of(data, CHUNK_SIZE))
    time.sleep(0.1)
    download.cancel()
    assert ended()


@pytest.mark.parametrize("chunk_size", [64, 1000, 4096, 5000, 1 << 20])
def test_half_precision_is_widened_whatever_the_chunks(tmp_path: Path, chunk_size: int) -> None:
    values = np.arange(3001, dtype=np.float32) / np.float32(8)
    others = np.arange(1500, dtype=np.int32)
    serialized = stream.dump([Half(values), others])
    store = FolderStore(tmp_path)
    store.write("x", serialized.weights, generation=NEW)
    region = Download(store, "x", FileEntry.of(serialized.weights, chunk_size), serialized.layout).wait()
    found = np.frombuffer(region.view(True, 0, 2 * 3001), np.float32)
    np.testing.assert_array_equal(found, values.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(np.frombuffer(region.view(False, 0, 4 * 1500), np.int32), others)
