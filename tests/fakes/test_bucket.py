import base64
import filecmp
import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
import requests
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2.credentials import Credentials

from tests.fakes.bucket import FakeBucket

MIB = 1024 * 1024


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBucket]:
    with FakeBucket("models") as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        yield bucket


@pytest.fixture
def bucket(fake: FakeBucket) -> Iterator[Any]:
    with storage.Client(project="any", credentials=AnonymousCredentials()) as client:
        yield client.bucket("models")


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


# Reads.


def test_upload_metadata_and_download_agree(fake: FakeBucket, bucket: Any) -> None:
    blob = bucket.blob("a/b c.txt")
    blob.metadata = {"k": "v"}
    blob.upload_from_string(b"hello", content_type="text/plain")
    found = bucket.get_blob("a/b c.txt")
    assert (found.size, found.content_type, found.metadata, found.metageneration) == (5, "text/plain", {"k": "v"}, 1)
    assert (found.generation, found.crc32c, found.md5_hash) == (blob.generation, crc32c(b"hello"), blob.md5_hash)
    assert bucket.blob("a/b c.txt").download_as_bytes() == b"hello" == fake.data("a/b c.txt")


def test_download_tells_the_generation_of_its_bytes(fake: FakeBucket, bucket: Any) -> None:
    generation = fake.put("x", b"1")
    blob = bucket.blob("x")
    assert (blob.download_as_bytes(), blob.generation, blob.crc32c) == (b"1", generation, crc32c(b"1"))


@pytest.mark.parametrize(("start", "end", "want"), [(0, 0, b"0"), (3, 5, b"345"), (8, None, b"89"), (7, 99, b"789")])
def test_ranges(fake: FakeBucket, bucket: Any, start: int, end: int | None, want: bytes) -> None:
    fake.put("x", b"0123456789")
    assert bucket.blob("x").download_as_bytes(start=start, end=end) == want
    assert fake.calls[-1].status == 206


def test_last_bytes_and_content_range(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", b"0123456789")
    url = f"{fake.url}/storage/v1/b/models/o/x?alt=media"
    tail = session.get(url, headers={"Range": "bytes=-3"})
    assert (tail.content, tail.headers["Content-Range"]) == (b"789", "bytes 7-9/10")
    assert session.get(url, headers={"Range": "lines=1-2"}).status_code == 200


def test_range_beyond_the_end_is_416(fake: FakeBucket, bucket: Any) -> None:
    fake.put("x", b"0123456789")
    with pytest.raises(api.RequestRangeNotSatisfiable):
        bucket.blob("x").download_as_bytes(start=10)


def test_missing_object_is_404(bucket: Any) -> None:
    assert bucket.get_blob("none") is None
    with pytest.raises(api.NotFound, match="No such object"):
        bucket.blob("none").download_as_bytes()


def test_missing_bucket_is_404(bucket: Any) -> None:
    with pytest.raises(api.NotFound, match="The specified bucket does not exist"):
        bucket.client.bucket("other").blob("x").upload_from_string(b"")


def test_download_with_the_wrong_generation_is_412(fake: FakeBucket, bucket: Any) -> None:
    generation = fake.put("x", b"1")
    assert bucket.blob("x").download_as_bytes(if_generation_match=generation) == b"1"
    with pytest.raises(api.PreconditionFailed):
        bucket.blob("x").download_as_bytes(if_generation_match=generation + 1)


def test_download_of_a_known_generation_is_304(fake: FakeBucket, bucket: Any) -> None:
    generation = fake.put("x", b"1")
    assert bucket.blob("x").download_as_bytes(if_generation_not_match=generation + 1) == b"1"
    with pytest.raises(api.NotModified):
        bucket.blob("x").download_as_bytes(if_generation_not_match=generation)


def test_metageneration(fake: FakeBucket, bucket: Any) -> None:
    fake.put("x", b"1")
    blob = bucket.get_blob("x")
    blob.metadata = {"k": "v"}
    blob.patch(if_metageneration_match=1)
    assert (blob.metageneration, blob.metadata) == (2, {"k": "v"})
    with pytest.raises(api.PreconditionFailed):
        blob.patch(if_metageneration_match=1)
    with pytest.raises(api.PreconditionFailed):
        bucket.blob("x").download_as_bytes(if_metageneration_match=1)


def test_parallel_ranges(fake: FakeBucket, bucket: Any, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB + 7)
    fake.put("x", data)
    transfer_manager.download_chunks_concurrently(
        bucket.blob("x"), tmp_path / "x", chunk_size=MIB, worker_type=transfer_manager.THREAD
    )
    assert (tmp_path / "x").read_bytes() == data


def test_compressed_objects_are_given_as_they_are(fake: FakeBucket, bucket: Any) -> None:
    packed = gzip.compress(b"hello")
    fake.put("x", packed, contentEncoding="gzip")
    assert bucket.blob("x").download_as_bytes(raw_download=True) == packed
    assert bucket.blob("x").download_as_bytes() == b"hello"


# Writes.


def test_create_only(fake: FakeBucket, bucket: Any) -> None:
    bucket.blob("x").upload_from_string(b"1", if_generation_match=0)
    with pytest.raises(api.PreconditionFailed):
        bucket.blob("x").upload_from_string(b"2", if_generation_match=0)
    assert fake.data("x") == b"1"


def test_replace_only_the_generation_named(fake: FakeBucket, bucket: Any) -> None:
    first = fake.put("x", b"1")
    blob = bucket.blob("x")
    blob.upload_from_string(b"2", if_generation_match=first)
    assert blob.generation > first
    for generation in (first, 0):
        with pytest.raises(api.PreconditionFailed):
            bucket.blob("x").upload_from_string(b"3", if_generation_match=generation)
    with pytest.raises(api.PreconditionFailed):
        bucket.blob("none").upload_from_string(b"3", if_generation_match=first)
    assert fake.data("x") == b"2"


def test_delete(fake: FakeBucket, bucket: Any) -> None:
    generation = fake.put("x", b"1")
    with pytest.raises(api.PreconditionFailed):
        bucket.blob("x").delete(if_generation_match=generation + 1)
    bucket.blob("x").delete(if_generation_match=generation)
    with pytest.raises(api.NotFound):
        bucket.blob("x").delete()
    assert fake.names() == []


def test_reading_a_generation_that_never_was_is_404(fake: FakeBucket, bucket: Any) -> None:
    generation = fake.put("x", b"1")
    with pytest.raises(api.NotFound):
        bucket.blob("x", generation=generation + 1).download_as_bytes()


def test_versioning_keeps_old_generations(fake: FakeBucket, bucket: Any) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    first, second = fake.put("x", b"1"), fake.put("x", b"2")
    bucket.blob("x").delete()
    assert [blob.generation for blob in bucket.list_blobs(versions=True)] == [first, second]
    assert list(bucket.list_blobs()) == []
    assert bucket.blob("x", generation=first).download_as_bytes() == b"1"
    bucket.blob("x", generation=first).delete()
    assert [blob.generation for blob in bucket.list_blobs(versions=True)] == [second]


def test_without_versioning_old_generations_are_gone(fake: FakeBucket, bucket: Any) -> None:
    first, _ = fake.put("x", b"1"), fake.put("x", b"2")
    with pytest.raises(api.NotFound):
        bucket.blob("x", generation=first).download_as_bytes()


def test_wrong_checksum_is_400_and_stores_nothing(fake: FakeBucket, bucket: Any, session: requests.Session) -> None:
    large = bytes(9 * MIB)
    with pytest.raises(api.BadRequest, match="doesn't match calculated"):
        bucket.blob("x").upload_from_file(io.BytesIO(large), size=len(large), crc32c_checksum_value=crc32c(b"other"))
    url = f"{fake.url}/upload/storage/v1/b/models/o?uploadType=media&name=x"
    for wrong in (f"crc32c={crc32c(b'other')}", "md5=AAAA", f"crc32c={crc32c(b'1')},md5=AAAA"):
        assert session.post(url, data=b"1", headers={"X-Goog-Hash": wrong}).status_code == 400
    assert fake.names() == []
    assert session.post(url, data=b"1", headers={"X-Goog-Hash": f"crc32c={crc32c(b'1')}"}).ok
    assert fake.data("x") == b"1"


@pytest.mark.parametrize("size", [0, 20_000_000])
def test_resumable_upload_of_known_size(fake: FakeBucket, bucket: Any, size: int) -> None:
    data = os.urandom(size)
    bucket.blob("x", chunk_size=8 * MIB).upload_from_file(io.BytesIO(data), size=size, if_generation_match=0)
    assert fake.data("x") == data


@pytest.mark.parametrize("size", [0, MIB, 5 * MIB // 2])
def test_resumable_upload_of_unknown_size(fake: FakeBucket, bucket: Any, size: int) -> None:
    data = os.urandom(size)
    bucket.blob("x", chunk_size=MIB).upload_from_file(io.BytesIO(data))
    assert fake.data("x") == data
    assert bucket.get_blob("x").size == size


def test_file_objects(bucket: Any) -> None:
    data = os.urandom(3 * MIB)
    with bucket.blob("x").open("wb", chunk_size=MIB) as file:
        file.write(data)
    with bucket.blob("x").open("rb", chunk_size=MIB) as file:
        assert file.read() == data


@pytest.fixture
def upload(fake: FakeBucket, session: requests.Session) -> str:
    url = f"{fake.url}/upload/storage/v1/b/models/o?uploadType=resumable&name=a%2Fx&ifGenerationMatch=0"
    return session.post(url, json={"metadata": {"k": "v"}}).headers["Location"]


def send(session: requests.Session, upload: str, data: bytes, content_range: str) -> requests.Response:
    return session.put(upload, data=data, headers={"Content-Range": content_range})


def test_resumable_upload_says_how_far_it_got(fake: FakeBucket, session: requests.Session, upload: str) -> None:
    half = 256 * 1024
    data = os.urandom(half + 100)
    status = send(session, upload, b"", "bytes */*")
    assert (status.status_code, "Range" in status.headers) == (308, False)
    first = send(session, upload, data[:half], f"bytes 0-{half - 1}/*")
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{half - 1}")
    assert send(session, upload, b"", "bytes */*").headers["Range"] == f"bytes=0-{half - 1}"
    assert fake.names() == []
    # The second chunk begins before the first one's end: what came already is ignored.
    last = send(session, upload, data, f"bytes 0-{len(data) - 1}/{len(data)}")
    assert (last.status_code, last.json()["size"]) == (200, str(len(data)))
    assert send(session, upload, b"", "bytes */*").json()["generation"] == last.json()["generation"]
    assert fake.data("a/x") == data


def test_resumable_upload_refuses_what_does_not_fit(session: requests.Session, upload: str) -> None:
    assert send(session, upload, b"12", "bytes 0-2/3").status_code == 400
    assert send(session, upload, b"12", "bytes 5-6/7").status_code == 400
    assert send(session, upload, b"12", "bytes 0-1/7").status_code == 400
    assert send(session, upload, b"12", "bites 0-1/2").status_code == 400
    assert send(session, upload, b"12", "bytes 0-1/2").status_code == 200


def test_resumable_upload_checks_its_precondition_at_the_end(
    fake: FakeBucket, session: requests.Session, upload: str
) -> None:
    fake.put("a/x", b"other")
    assert send(session, upload, b"12", "bytes 0-1/2").status_code == 412
    assert fake.data("a/x") == b"other"


def test_cancelled_upload_is_gone(fake: FakeBucket, session: requests.Session, upload: str) -> None:
    assert session.delete(upload).status_code == 499
    assert send(session, upload, b"12", "bytes 0-1/2").status_code == 404
    assert fake.names() == []


def test_multipart_with_line_feeds_and_quotes(fake: FakeBucket, session: requests.Session) -> None:
    media = b"\n\n--bound\r\n\x00\n"
    body = (
        b'--==b==\nContent-Type: application/json\n\n{"name": "x"}\n--==b==\nContent-Type: text/x\n\n'
        + media
        + b"\n--==b==--"
    )
    headers = {"Content-Type": "multipart/related; boundary='==b=='"}
    answer = session.post(
        f"{fake.url}/upload/storage/v1/b/models/o?uploadType=multipart", data=body, headers=headers
    ).json()
    assert (fake.data("x"), answer["contentType"]) == (media, "text/x")


def test_simultaneous_creates_have_one_winner(fake: FakeBucket, bucket: Any) -> None:
    def create(number: int) -> bool:
        try:
            bucket.blob("x").upload_from_string(str(number), if_generation_match=0)
        except api.PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1
    assert {call.status for call in fake.calls} == {200, 412}


# Listing.


def test_list(fake: FakeBucket, bucket: Any) -> None:
    for name in ("a", "a b", "a/1", "a/2", "a/b/3", "c"):
        fake.put(name, b"")
    assert [blob.name for blob in bucket.list_blobs()] == ["a", "a b", "a/1", "a/2", "a/b/3", "c"]
    assert [blob.name for blob in bucket.list_blobs(prefix="a/")] == ["a/1", "a/2", "a/b/3"]
    listing = bucket.list_blobs(prefix="a/", delimiter="/")
    assert ([blob.name for blob in listing], listing.prefixes) == (["a/1", "a/2"], {"a/b/"})


def test_list_pages(fake: FakeBucket, bucket: Any) -> None:
    for name in "abcdefg":
        fake.put(f"{name}/x" if name in "bcd" else name, b"")
    listing = bucket.list_blobs(page_size=2, delimiter="/")
    assert [[blob.name for blob in page] for page in listing.pages] == [["a"], [], ["e", "f"], ["g"]]
    assert listing.prefixes == {"b/", "c/", "d/"}
    assert fake.count("list") == 4
    fake.page_size = 3
    assert len(list(bucket.list_blobs())) == 7
    assert fake.count("list") == 7


# Errors and the door.


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/storage/v2/b"), ("POST", "/storage/v1/b/models/o/x"), ("PUT", "/x")]
)
def test_unknown_routes_are_404(fake: FakeBucket, session: requests.Session, method: str, path: str) -> None:
    answer = session.request(method, fake.url + path, data=b"drained")
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (404, "notFound")
    assert session.get(f"{fake.url}/storage/v1/b/models").status_code == 200


@pytest.mark.parametrize(
    "query", ["uploadType=media", "uploadType=other&name=x", "name=x", "uploadType=media&name=x&ifGenerationMatch=one"]
)
def test_bad_uploads_are_400(fake: FakeBucket, session: requests.Session, query: str) -> None:
    assert session.post(f"{fake.url}/upload/storage/v1/b/models/o?{query}", data=b"1").status_code == 400
    assert fake.names() == []


def test_upload_without_a_length_is_411(fake: FakeBucket) -> None:
    with socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2]))) as connection:
        connection.sendall(b"POST /upload/storage/v1/b/models/o?uploadType=media&name=x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_chunked_body_is_read(fake: FakeBucket, session: requests.Session) -> None:
    url = f"{fake.url}/upload/storage/v1/b/models/o?uploadType=media&name=x"
    assert session.post(url, data=iter([b"one", b"two"])).status_code == 200
    assert fake.data("x") == b"onetwo"


def test_token_is_asked_for() -> None:
    with FakeBucket("models", required_token="let-me-in") as fake:
        fake.put("x", b"1")
        options = {"api_endpoint": fake.url}
        with storage.Client("any", Credentials(token="let-me-in"), client_options=options) as client:
            assert client.bucket("models").blob("x").download_as_bytes() == b"1"
        with requests.Session() as session:
            url = f"{fake.url}/storage/v1/b/models/o/x"
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                assert session.get(url, headers=headers).status_code == 401


def test_connections_are_kept(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", b"1")
    ports = set()
    for path in ("x?alt=media", "x", "none", "x?ifGenerationNotMatch=" + str(fake.put("x", b"2"))):
        with session.get(f"{fake.url}/storage/v1/b/models/o/{path}", stream=True) as answer:
            ports.add(answer.raw.connection.sock.getsockname()[1])
            _ = answer.content
    assert len(ports) == 1


# Faults, as the client alone meets them.


def test_faults_are_counted_down_by_name_and_operation(fake: FakeBucket, bucket: Any) -> None:
    fake.put("a/x", b"1")
    fake.put("b", b"1")
    fault = fake.fault("read", "a/*", status=503, times=2)
    assert bucket.blob("b").download_as_bytes(retry=None) == b"1"
    bucket.blob("a/y").upload_from_string(b"2", retry=None)
    for _ in range(2):
        with pytest.raises(api.ServiceUnavailable):
            bucket.blob("a/x").download_as_bytes(retry=None)
    assert bucket.blob("a/x").download_as_bytes(retry=None) == b"1"
    assert fault.times == 0
    assert [(call.operation, call.object, call.status, call.sent) for call in fake.calls if call.status != 503] == [
        ("read", "b", 200, 1),
        ("write", "a/y", 200, fake.calls[1].sent),
        ("read", "a/x", 200, 1),
    ]


def test_refused_write_stores_nothing(fake: FakeBucket, bucket: Any) -> None:
    fake.fault("write", "x", status=503, times=None)
    with pytest.raises(api.ServiceUnavailable):
        bucket.blob("x").upload_from_string(b"1", retry=None)
    fake.heal()
    assert fake.names() == []


@pytest.mark.parametrize("effect", [{"cut": 700_000}, {"truncate": 700_000}])
def test_client_takes_up_a_cut_answer(fake: FakeBucket, bucket: Any, effect: dict[str, Any]) -> None:
    data = os.urandom(MIB)
    fake.put("x", data)
    fake.fault("read", **effect)
    assert bucket.blob("x").download_as_bytes(retry=DEFAULT_RETRY.with_delay(initial=0.01)) == data
    first, second = fake.calls
    assert (first.sent, first.status, second.status) == (700_000, 200, 206)
    assert second.sent >= MIB - 700_000


def test_one_bit_is_enough(fake: FakeBucket, bucket: Any) -> None:
    fake.put("x", b"0123456789")
    fault = fake.fault("read", corrupt=5)
    assert bucket.blob("x").download_as_bytes(start=0, end=4) == b"01234"
    assert fault.times == 1
    with pytest.raises(DataCorruption):
        bucket.blob("x").download_as_bytes()
    fake.fault("read", corrupt=5)
    assert bucket.blob("x").download_as_bytes(start=4, end=6) == b"446"
    fake.fault("read", corrupt=5, drop_hash=True)
    assert bucket.blob("x").download_as_bytes() == b"0123446789"


def test_a_shorter_answer_with_its_own_length(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", b"0123456789")
    fake.fault("read", truncate=4, declare_truncated=True)
    assert session.get(f"{fake.url}/storage/v1/b/models/o/x?alt=media").content == b"0123"


def test_slow_answers(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", bytes(1000))
    effects: list[dict[str, Any]] = [{"latency": 0.2}, {"stall": (500, 0.2)}, {"bandwidth": 5000}]
    for effect in effects:
        fake.fault("read", **effect)
        start = time.monotonic()
        assert len(session.get(f"{fake.url}/storage/v1/b/models/o/x?alt=media").content) == 1000
        assert 0.19 < time.monotonic() - start < 5


def test_an_answer_in_slices_is_whole(fake: FakeBucket, session: requests.Session) -> None:
    data = os.urandom(1000)
    fake.put("x", data)
    fake.fault("read", slice=7)
    assert session.get(f"{fake.url}/storage/v1/b/models/o/x?alt=media").content == data


def test_an_answer_that_is_packed_on_its_way(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", b"0" * 1000)
    fake.fault("read", gzip=True)
    with session.get(f"{fake.url}/storage/v1/b/models/o/x?alt=media", stream=True) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.raw.read()) == b"0" * 1000


def test_an_object_that_is_swapped_once_it_was_looked_up(fake: FakeBucket, session: requests.Session) -> None:
    first = fake.put("x", b"1")
    fake.fault("read", swap=b"2")
    url = f"{fake.url}/storage/v1/b/models/o/x?alt=media"
    answer = session.get(url)
    assert (answer.content, answer.headers["X-Goog-Generation"]) == (b"1", str(first))
    assert session.get(url).content == b"2"
    assert session.get(f"{url}&generation={first}").status_code == 404


def test_nobody_listens_for_a_while(fake: FakeBucket, session: requests.Session) -> None:
    fake.put("x", b"1")
    url = f"{fake.url}/storage/v1/b/models/o/x?alt=media"
    assert session.get(url).content == b"1"
    fake.refuse()
    with pytest.raises(requests.ConnectionError):
        session.get(url)
    fake.listen()
    assert session.get(url).content == b"1"


def test_black_hole_is_let_go_at_the_end(fake: FakeBucket, session: requests.Session) -> None:
    caught: list[Exception] = []

    def ask(url: str) -> None:
        try:
            session.get(f"{url}/storage/v1/b/models/o/x", timeout=20)
        except requests.ConnectionError as exc:
            caught.append(exc)

    with FakeBucket("models") as other:
        other.fault(black_hole=True)
        thread = threading.Thread(target=ask, args=(other.url,))
        thread.start()
        while not other.calls:
            time.sleep(0.01)
        start = time.monotonic()
    thread.join()
    assert len(caught) == 1
    assert time.monotonic() - start < 5


# By hand.


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_storage_copies_both_ways(fake: FakeBucket, tmp_path: Path) -> None:
    folder, back = tmp_path / "up", tmp_path / "down"
    folder.mkdir()
    back.mkdir()
    (folder / "small").write_bytes(os.urandom(1000))
    (folder / "large").write_bytes(os.urandom(9 * MIB))
    environment = os.environ | {
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "any",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{fake.url}/storage/v1/",
    }
    for source, target in ((f"{folder}/*", "gs://models/x/"), ("gs://models/x/*", f"{back}/")):
        run = subprocess.run(
            ["gcloud", "storage", "cp", source, target], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    assert filecmp.cmpfiles(folder, back, ["small", "large"], shallow=False) == (["small", "large"], [], [])


def test_command_line_serves_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.json").write_text(json.dumps({"k": 1}))
    arguments = ["--port", "0", "--bucket", "models", "--folder", str(tmp_path)]
    command = [sys.executable, "-m", "tests.fakes.bucket", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("export STORAGE_EMULATOR_HOST=http://127.0.0.1:")
        url = line.strip().partition("=")[2]
        with requests.Session() as session:
            assert session.get(f"{url}/storage/v1/b/models/o/a%2Fx.json?alt=media").json() == {"k": 1}
        process.terminate()
