import base64
import gzip
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError

from model_functions.errors import ConfigurationInvalid, Conflict, DigestMismatch, ObjectNotFound, StoreUnavailable
from model_functions.store import NEW, Stored, open_store
from model_functions.store.bucket import BucketStore, Patience
from model_functions.store.credentials import AccessTokens, google_auth_token
from tests.fakes.bucket import Call, FakeBucket
from tests.shared.store.reading import read_into

#: To see it overcome a fault, and to see it give up.
PATIENT = Patience(pause=0.02, connect=1, answer=0.3, read=5, upload_answer=0.5, upload=5)
HASTY = Patience(pause=0.02, connect=0.2, answer=0.2, read=0.45, upload_answer=0.3, upload=0.5)
#: What a busy machine may add; what is overcome, or given up, would else take longer still.
SLACK_S = 3
MIB = 1024 * 1024

#: What happens to one answer, by name.
FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "503": {"status": 503},
    "late": {"latency": 20},
    "black hole": {"black_hole": True},
    "cut": {"cut": 10},
    "stalled": {"stall": (10, 20)},
    "dripping": {"bandwidth": 2},
    "truncated": {"truncate": 10},
    "truncated, its length too": {"truncate": 10, "declare_truncated": True},
    "corrupt": {"corrupt": 10},
}
each_fault = pytest.mark.parametrize("effect", FAULTS.values(), ids=FAULTS)


@pytest.fixture
def store(fake_bucket: FakeBucket) -> BucketStore:
    return BucketStore.at("gs://models/p", PATIENT)


@pytest.fixture
def hasty(fake_bucket: FakeBucket) -> BucketStore:
    return BucketStore.at("gs://models/p", HASTY)


# Reads.


def test_a_read_is_one_request(fake_bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", raising=False)
    generation = fake_bucket.put("p/a.json", b"{}")
    fake_bucket.put("p/b", b"0123")
    store = open_store("gs://models/p")
    assert store.read("a.json") == Stored(b"{}", generation)
    read_into(store, "b", memoryview(bytearray(2)), 1)
    assert [(call.path, call.sent) for call in fake_bucket.calls] == [
        ("/download/storage/v1/b/models/o/p%2Fa.json", 2),
        ("/download/storage/v1/b/models/o/p%2Fb", 2),
    ]


@each_fault
def test_read_overcomes_one_fault(fake_bucket: FakeBucket, store: BucketStore, effect: dict[str, Any]) -> None:
    fake_bucket.put("p/x", b"0123456789abcdef")
    fake_bucket.fault("read", **effect)
    assert store.read("x").data == b"0123456789abcdef"
    assert fake_bucket.count("read") == 2


@each_fault
def test_read_gives_up_in_time(fake_bucket: FakeBucket, hasty: BucketStore, effect: dict[str, Any]) -> None:
    fake_bucket.put("p/x", b"0123456789abcdef")
    fake_bucket.fault("read", times=None, **effect)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"for x\. Try again\.$") as caught:
        hasty.read("x")
    assert time.monotonic() - start < HASTY.read + SLACK_S
    assert caught.value.headers == {"Retry-After": "5"}
    assert "models" not in caught.value.message


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeBucket("models") as gone:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gone.url)
    store = BucketStore.at("gs://models", HASTY)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"^The store gives no whole answer for x\. Try again\.$"):
        store.read("x")
    with pytest.raises(StoreUnavailable):
        read_into(store, "x", memoryview(bytearray(1)))
    with pytest.raises(StoreUnavailable):
        store.write("x", b"1", generation=NEW)
    with pytest.raises(StoreUnavailable):
        list(store.list())
    assert time.monotonic() - start < 4 * (HASTY.read + SLACK_S)


def test_nobody_waits_longer_than_five_seconds_for_a_read() -> None:
    assert Patience().read == 4.5


def test_the_message_names_the_status(fake_bucket: FakeBucket, hasty: BucketStore) -> None:
    fake_bucket.fault(status=503, times=None)
    for call in (lambda: hasty.read("x"), lambda: hasty.write("x", b"1", generation=NEW)):
        with pytest.raises(StoreUnavailable, match=r"^The store answers 503 for x\. Try again\.$"):
            call()


def test_generation_belongs_to_the_bytes(fake_bucket: FakeBucket, store: BucketStore) -> None:
    """The object is replaced between a broken answer and the next request."""
    fake_bucket.put("p/x", b"old" * 10_000)
    generations = []

    def replace(_: Call) -> None:
        if len(fake_bucket.calls) == 2:
            generations.append(fake_bucket.put("p/x", b"new" * 10_000))

    fake_bucket.on_call = replace
    fake_bucket.fault("read", truncate=20_000)
    assert store.read("x") == Stored(b"new" * 10_000, generations[0])


def test_nothing_is_decompressed(fake_bucket: FakeBucket, store: BucketStore) -> None:
    packed = gzip.compress(bytes(100_000))
    fake_bucket.put("p/x", packed, contentEncoding="gzip")
    assert store.read("x").data == packed
    buffer = bytearray(len(packed))
    read_into(store, "x", memoryview(buffer))
    assert buffer == packed


@each_fault
def test_read_into_overcomes_one_fault(fake_bucket: FakeBucket, store: BucketStore, effect: dict[str, Any]) -> None:
    data = os.urandom(64)
    fake_bucket.put("p/x", data)
    fault = fake_bucket.fault("read", **effect)
    buffer = bytearray(50)
    read_into(store, "x", memoryview(buffer), 5)
    # Nobody but the caller can see a wrong bit: there is no checksum of a part.
    wrong = {10 - 5} if fault.corrupt else set()
    assert {index for index in range(50) if buffer[index] != data[index + 5]} == wrong
    assert fake_bucket.count("read") == (1 if fault.corrupt else 2)


@each_fault
def test_read_into_ends_in_time(fake_bucket: FakeBucket, hasty: BucketStore, effect: dict[str, Any]) -> None:
    fake_bucket.put("p/x", bytes(40))
    fault = fake_bucket.fault("read", times=None, **{**effect, **({"cut": 0} if "cut" in effect else {})})
    fault.stall = fault.stall and (0, 20)
    start = time.monotonic()
    buffer = bytearray(40)
    if fault.truncate is not None or fault.corrupt is not None:
        read_into(hasty, "x", memoryview(buffer))
    else:
        with pytest.raises(StoreUnavailable, match=r"for x\. Try again\.$"):
            read_into(hasty, "x", memoryview(buffer))
    assert time.monotonic() - start < HASTY.read + HASTY.answer + SLACK_S


def test_an_answer_that_ends_before_its_first_byte_is_no_end_of_the_object(
    fake_bucket: FakeBucket, store: BucketStore, hasty: BucketStore
) -> None:
    fake_bucket.put("p/x", bytes(range(40)))
    fake_bucket.fault("read", truncate=0)
    buffer = bytearray(40)
    read_into(store, "x", memoryview(buffer))
    assert buffer == bytes(range(40))
    fake_bucket.fault("read", times=None, truncate=0)
    with pytest.raises(StoreUnavailable, match=r"for x\. Try again\.$"):
        read_into(hasty, "x", memoryview(buffer))


def test_an_answer_that_is_packed_on_its_way_is_no_part_of_the_object(
    fake_bucket: FakeBucket, store: BucketStore, hasty: BucketStore
) -> None:
    fake_bucket.put("p/x", bytes(MIB))
    fake_bucket.fault("read", gzip=True)
    buffer = bytearray(b"x" * MIB)
    read_into(store, "x", memoryview(buffer))
    assert buffer == bytes(MIB)
    assert fake_bucket.count("read") == 2
    fake_bucket.fault("read", times=None, gzip=True)
    with pytest.raises(StoreUnavailable, match=r"for x\. Try again\.$"):
        read_into(hasty, "x", memoryview(buffer))
    assert fake_bucket.count("read") < 20


@pytest.mark.parametrize("operation", ["read", "list"])
def test_nobody_reads_on_what_comes_too_slowly(fake_bucket: FakeBucket, hasty: BucketStore, operation: str) -> None:
    """Of a document that takes a minute, once whoever wanted it has given up."""
    fake_bucket.put("p/x", bytes(200_000))
    for number in range(800):
        fake_bucket.put(f"p/{number:03d}-{'x' * 100}", b"")
    fake_bucket.fault(operation, times=None, bandwidth=2000)
    with pytest.raises(StoreUnavailable):
        hasty.read("x") if operation == "read" else list(hasty.list())
    deadline = time.monotonic() + HASTY.answer + SLACK_S
    while any(thread.name == "bucket" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "bucket"]


@pytest.mark.parametrize("effect", [{"cut": 700_000}, {"truncate": 700_000}, {"stall": (700_000, 20)}])
def test_read_into_goes_on_where_it_was_cut(
    fake_bucket: FakeBucket, store: BucketStore, effect: dict[str, Any]
) -> None:
    data = os.urandom(MIB)
    fake_bucket.put("p/x", data)
    fake_bucket.fault("read", **effect)
    buffer = bytearray(MIB)
    read_into(store, "x", memoryview(buffer))
    assert buffer == data
    first, second = fake_bucket.calls
    assert first.headers["range"] == f"bytes=0-{MIB - 1}"
    assert second.sent < MIB


def test_read_into_goes_on_as_long_as_bytes_come(fake_bucket: FakeBucket, store: BucketStore) -> None:
    data = os.urandom(MIB)
    fake_bucket.put("p/x", data)
    fake_bucket.fault("read", times=None, truncate=200_000)
    buffer = bytearray(MIB)
    read_into(store, "x", memoryview(buffer))
    assert buffer == data


def test_read_into_gives_up_on_a_store_that_is_too_slow(
    fake_bucket: FakeBucket, hasty: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_functions.store.bucket.SLOWEST_BYTES_PER_S", 10 * MIB)
    fake_bucket.put("p/x", bytes(MIB))
    fake_bucket.fault("read", times=None, bandwidth=200_000)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read_into(hasty, "x", memoryview(bytearray(MIB)))
    assert time.monotonic() - start < 2 * HASTY.read + 0.1 + SLACK_S


def test_a_large_part_is_given_up_as_soon_as_it_falls_behind(fake_bucket: FakeBucket, hasty: BucketStore) -> None:
    """At the slowest bytes that are waited for, all of it would take a minute and a half."""
    fake_bucket.put("p/x", bytes(8 * MIB))
    fake_bucket.fault("read", times=None, bandwidth=20_000)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"for x\. Try again\.$"):
        read_into(hasty, "x", memoryview(bytearray(8 * MIB)))
    assert time.monotonic() - start < 2 * HASTY.read * 1.25 + HASTY.answer + SLACK_S


def test_a_store_that_keeps_up_with_the_slowest_may_take_its_time(
    fake_bucket: FakeBucket, hasty: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_functions.store.bucket.SLOWEST_BYTES_PER_S", MIB // 8)
    data = os.urandom(MIB // 4)
    fake_bucket.put("p/x", data)
    fake_bucket.fault("read", times=None, bandwidth=MIB // 4)
    start, buffer = time.monotonic(), bytearray(MIB // 4)
    read_into(hasty, "x", memoryview(buffer))
    assert buffer == data
    assert time.monotonic() - start > 2 * HASTY.read


def test_what_is_given_up_ends_within_the_chunk(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.put("p/x", bytes(MIB))
    fake_bucket.fault("read", times=None, bandwidth=MIB // 8)
    with store.open("x") as found:
        begun = threading.Event()
        fake_bucket.on_call = lambda _: begun.set()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(found.read_into, memoryview(bytearray(MIB)))
            assert begun.wait(5)
            start = time.monotonic()
            found.give_up()
            with pytest.raises(StoreUnavailable, match=r"^x was given up\. Try again\.$"):
                reading.result()
            assert time.monotonic() - start < 1 + SLACK_S


def test_read_into_never_writes_beyond_the_buffer(fake_bucket: FakeBucket, store: BucketStore) -> None:
    """A store that ignores the range."""
    fake_bucket.put("p/x", b"0123456789")

    def forget_the_range(call: Call) -> None:
        del call.headers["range"]

    fake_bucket.on_call = forget_the_range
    whole = bytearray(b"-" * 6)
    with pytest.raises(DigestMismatch, match="more bytes than it was asked for"):
        read_into(store, "x", memoryview(whole)[1:5])
    assert whole == b"-" * 6


def test_many_threads_share_the_connections(
    fake_bucket: FakeBucket, store: BucketStore, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(32 * 10_000)
    fake_bucket.put("p/x", data)
    buffer = bytearray(len(data))

    def part(number: int) -> None:
        place = slice(number * 10_000, (number + 1) * 10_000)
        read_into(store, "x", memoryview(buffer)[place], place.start)

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(32) as pool:
        for _ in range(3):
            list(pool.map(part, range(32)))
    assert buffer == data
    assert caplog.records == []
    assert fake_bucket.count("read") == 96


# Writes.


def holds(bucket: FakeBucket, data: bytes, generation: int) -> bool:
    found = bucket.buckets["models"].live["p/x"]
    return (found.data, found.generation) == (data, generation)


@pytest.mark.parametrize(
    ("name", "content_type", "cache"),
    [("a.json", "application/json", "no-store"), ("a.dill", "application/octet-stream", None)],
)
def test_written_objects_carry_their_type(
    fake_bucket: FakeBucket, store: BucketStore, name: str, content_type: str, cache: str | None
) -> None:
    store.write(name, b"{}", generation=NEW)
    fields = fake_bucket.buckets["models"].live[f"p/{name}"].fields
    assert (fields["contentType"], fields.get("cacheControl")) == (content_type, cache)
    assert [call.query["uploadType"] for call in fake_bucket.calls] == ["multipart"]
    assert fake_bucket.calls[0].query["ifGenerationMatch"] == "0"
    assert len(base64.b64decode(fields["crc32c"])) == 4


def test_large_objects_go_in_chunks_that_are_told(fake_bucket: FakeBucket) -> None:
    store = open_store("gs://models/p")
    data, told = os.urandom(20_000_000), list[int]()
    generation = store.write("x", data, generation=NEW, on_progress=told.append)
    assert told == [8 * MIB, 8 * MIB, 20_000_000 - 16 * MIB]
    assert holds(fake_bucket, data, generation)
    assert [call.method for call in fake_bucket.calls] == ["POST", "PUT", "PUT", "PUT"]


@pytest.mark.parametrize("effect", [{"status": 503}, {"black_hole": True}, {"latency": 20}], ids=str)
@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_a_refused_write_is_repeated(
    fake_bucket: FakeBucket, store: BucketStore, effect: dict[str, Any], size: int
) -> None:
    data, told = os.urandom(size), list[int]()
    fake_bucket.fault("write", **effect)
    generation = store.write("x", data, generation=NEW, on_progress=told.append)
    assert holds(fake_bucket, data, generation)
    assert sum(told) == size


@pytest.mark.parametrize("status", [503, 403])
@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_a_write_that_stays_refused_writes_nothing(
    fake_bucket: FakeBucket, hasty: BucketStore, status: int, size: int
) -> None:
    fake_bucket.fault("write", status=status, times=None)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        hasty.write("x", bytes(size), generation=NEW)
    assert time.monotonic() - start < HASTY.upload + SLACK_S
    assert fake_bucket.names() == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_write_whose_answer_was_lost_has_succeeded(
    fake_bucket: FakeBucket, store: BucketStore, replace: bool
) -> None:
    first = store.write("x", b"first", generation=NEW) if replace else NEW
    told: list[int] = []
    fake_bucket.fault("write", cut=0)
    generation = store.write("x", b"second", generation=first, on_progress=told.append)
    assert store.read("x") == Stored(b"second", generation)
    assert sum(told) == 6
    assert [call.status for call in fake_bucket.calls if call.operation == "write"][-2:] == [200, 412]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_large_write_overcomes_a_lost_answer(fake_bucket: FakeBucket, store: BucketStore, after: int) -> None:
    data, told = os.urandom(9 * MIB), list[int]()
    fake_bucket.fault("write", after=after, cut=0)
    generation = store.write("x", data, generation=NEW, on_progress=told.append)
    assert holds(fake_bucket, data, generation)
    assert sum(told) == 9 * MIB


def test_a_repeated_write_does_not_take_the_same_bytes_for_its_own(fake_bucket: FakeBucket, store: BucketStore) -> None:
    def somebody_else(call: Call) -> None:
        if len(fake_bucket.calls) == 1:
            fake_bucket.put("p/x", b"same")

    fake_bucket.on_call = somebody_else
    fake_bucket.fault("write", status=503)
    with pytest.raises(Conflict):
        store.write("x", b"same", generation=NEW)


def test_a_conflict_that_cannot_be_looked_at_stays_one(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.put("p/x", b"other")
    fake_bucket.fault("read", status=403, times=None)
    with pytest.raises(Conflict):
        store.write("x", b"1", generation=NEW)


# Listing.


def test_list_turns_the_pages(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.page_size = 3
    names = [f"a/{number}" for number in range(7)]
    for name in ["p/", "p/a/", "other", "pp/x", *(f"p/{name}" for name in names)]:
        fake_bucket.put(name, b"")
    assert list(store.list()) == names
    assert fake_bucket.count("list") == 3


each_list_fault = pytest.mark.parametrize("effect", [{"status": 503}, {"black_hole": True}, {"cut": 3}], ids=str)


@each_list_fault
def test_list_overcomes_one_fault(fake_bucket: FakeBucket, store: BucketStore, effect: dict[str, Any]) -> None:
    fake_bucket.put("p/x", b"")
    fake_bucket.fault("list", **effect)
    assert list(store.list()) == ["x"]


@each_list_fault
def test_list_gives_up_in_time(fake_bucket: FakeBucket, hasty: BucketStore, effect: dict[str, Any]) -> None:
    fake_bucket.fault("list", times=None, **effect)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"for the list of names\. Try again\.$"):
        list(hasty.list())
    assert time.monotonic() - start < HASTY.read + SLACK_S


# Access.


def test_denied_access_says_what_to_grant(fake_bucket: FakeBucket, store: BucketStore) -> None:
    generation = fake_bucket.put("p/x", b"1")
    fake_bucket.fault(times=None, status=403)
    calls: dict[str, Callable[[], object]] = {
        "objectViewer": lambda: store.read("x"),
        "objectCreator": lambda: store.write("x", b"2", generation=NEW),
        "objectUser": lambda: store.write("x", b"2", generation=generation),
    }
    for role, call in calls.items():
        with pytest.raises(StoreUnavailable) as caught:
            call()
        want = f"The store denies access to x. Grant roles/storage.{role} on its bucket."
        assert caught.value.message == want
    assert len(fake_bucket.calls) == 3


def test_a_missing_bucket_is_said(fake_bucket: FakeBucket) -> None:
    store = BucketStore.at("gs://nowhere", HASTY)
    for call in (lambda: store.read("x"), lambda: store.write("x", b"", generation=NEW), lambda: list(store.list())):
        with pytest.raises(StoreUnavailable, match=r"^The store's bucket does not exist\. Create it, or correct"):
            call()
    assert fake_bucket.names() == []


def test_missing_credentials_say_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ConfigurationInvalid, match=r"Run `gcloud auth application-default login`\.$"):
        open_store("gs://models")


class Refreshing(Credentials):  # type: ignore[misc]
    """Credentials whose token never comes."""

    def __init__(self, error: Exception | None, released: threading.Event) -> None:
        super().__init__()
        self._error, self._released = error, released

    def refresh(self, request: Any) -> None:
        self._released.wait()
        raise self._error or RefreshError("too late")


def open_with(credentials: Credentials, bucket: FakeBucket) -> BucketStore:
    return BucketStore(bucket.url, "models", "p", AccessTokens(google_auth_token(credentials)), HASTY)


def test_a_token_that_does_not_come_is_not_waited_for(fake_bucket: FakeBucket) -> None:
    released = threading.Event()
    store = open_with(Refreshing(None, released), fake_bucket)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no whole answer for x"):
        store.read("x")
    assert time.monotonic() - start < HASTY.read + SLACK_S
    released.set()


def test_refused_credentials_say_the_way_out(fake_bucket: FakeBucket) -> None:
    released = threading.Event()
    released.set()
    store = open_with(Refreshing(RefreshError("invalid_grant"), released), fake_bucket)
    with pytest.raises(StoreUnavailable, match=r"credentials are not accepted.*gcloud auth application-default login"):
        store.read("x")
    assert fake_bucket.calls == []


def test_dots_do_not_reach_other_urls(fake_bucket: FakeBucket) -> None:
    store = BucketStore.at("gs://models", HASTY)
    for name in ("..", ".", "a//b", "./a"):
        with pytest.raises(ObjectNotFound, match="is no object's name"):
            store.read(name)
    assert fake_bucket.calls == []


# What one object is read from.


def read_side_by_side(store: BucketStore, buffer: bytearray, count: int) -> None:
    """Fills the buffer with the object x, in as many parts and threads."""
    size = len(buffer) // count

    def read(part: int) -> None:
        found.read_into(memoryview(buffer)[part * size : (part + 1) * size], part * size)

    with store.open("x") as found, ThreadPoolExecutor(count) as pool:
        list(pool.map(read, range(count)))


def test_all_parts_are_of_one_generation(fake_bucket: FakeBucket, store: BucketStore) -> None:
    """The object is replaced after its first part, in a bucket that keeps old generations."""
    fake_bucket.buckets["models"].versioning = True
    old, new = os.urandom(8 * 1000), os.urandom(8 * 1000)
    fake_bucket.put("p/x", old)

    def replace(_: Call) -> None:
        if len(fake_bucket.calls) == 2:
            fake_bucket.put("p/x", new)

    fake_bucket.on_call = replace
    buffer = bytearray(8000)
    read_side_by_side(store, buffer, 8)
    assert buffer == old
    assert [("generation" in call.query) for call in fake_bucket.calls] == [False] + [True] * 7


def test_an_object_that_is_gone_while_it_is_read_is_said(fake_bucket: FakeBucket, store: BucketStore) -> None:
    fake_bucket.put("p/x", bytes(100))
    with store.open("x") as found:
        found.read_into(memoryview(bytearray(50)))
        fake_bucket.put("p/x", bytes(100))
        with pytest.raises(StoreUnavailable, match=r"^x was replaced while it was read\. Try again\.$"):
            found.read_into(memoryview(bytearray(50)), 50)


def test_a_stalled_part_does_not_hold_up_the_others(fake_bucket: FakeBucket, store: BucketStore) -> None:
    data = os.urandom(2 * MIB)
    fake_bucket.put("p/x", data)
    fake_bucket.fault("read", stall=(1000, 20))
    buffer = bytearray(2 * MIB)
    start = time.monotonic()
    read_side_by_side(store, buffer, 2)
    assert buffer == data
    assert time.monotonic() - start < PATIENT.answer + PATIENT.pause + SLACK_S


def test_a_connection_that_the_bucket_has_closed_is_replaced_at_once(
    fake_bucket: FakeBucket, store: BucketStore
) -> None:
    fake_bucket.put("p/x", b"1")
    store.read("x")
    for connection in store._connections._idle:
        connection.sock.shutdown(socket.SHUT_RDWR)
    # A pause would be longer than a read may take, and so the read would fail.
    store.patience = replace(PATIENT, pause=2 * PATIENT.read)
    assert store.read("x").data == b"1"


def test_an_object_that_is_no_document_is_not_read_whole(
    fake_bucket: FakeBucket, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_functions.store.bucket.LARGEST_READ_BYTES", 10)
    fake_bucket.put("p/x", b"12345678901")
    with pytest.raises(StoreUnavailable, match="x has 11 bytes, too many for a document"):
        store.read("x")
