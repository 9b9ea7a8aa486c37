"""A Cloud Storage bucket as a store; the only module that imports google.cloud."""

import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self, TypeVar
from uuid import uuid4

import google_crc32c
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from model_functions.errors import ConfigurationInvalid, Conflict, DigestMismatch, ObjectNotFound, StoreUnavailable
from model_functions.store import NEW, Stored

CONNECTIONS = 32
"""Kept open at most; more threads than that work too, and close theirs after use."""
UPLOAD_CHUNK_BYTES = 8 * 1024 * 1024
RETRY_AFTER_S = 5
SLOWEST_BYTES_PER_S = 100_000
"""``read_into`` gives up on a store that is slower."""
WRITER = "writer"
"""The metadata entry by which an upload that was repeated knows its own first attempt."""

T = TypeVar("T")
LOCATION = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?")
#: What the network, the bucket or the client raise when the store does not do its part.
FAILURES = (
    api.GoogleAPIError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    InvalidResponse,
    DataCorruption,
    GoogleAuthError,
    OSError,
)


@dataclass(frozen=True)
class Patience:
    """Seconds to wait before the store counts as unavailable."""

    pause: float = 0.2
    """Before the first repetition of a request; the next pauses double, up to a second."""
    connect: float = 3.05
    answer: float = 3.0
    """Between two bytes of an answer."""
    read: float = 5.0
    """For a whole ``read``, for a page of ``list``, for the next byte of ``read_into``."""
    upload_answer: float = 60.0
    upload: float = 120.0
    """For each request of an upload, its repetitions included."""


class BucketStore:
    """Safe for several threads: each call has its own blob, and the client's connection pool is shared."""

    def __init__(self, client: storage.Client, bucket: str, prefix: str = "", patience: Patience | None = None) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience = patience or Patience()
        retry = DEFAULT_RETRY.with_delay(initial=self._patience.pause, maximum=1.0)
        self._retry = retry.with_timeout(self._patience.read)
        self._upload_retry = retry.with_timeout(self._patience.upload)
        self._timeout = (self._patience.connect, self._patience.answer)

    @classmethod
    def open(cls, location: str, patience: Patience | None = None) -> Self:
        """The store at ``gs://bucket[/prefix]``. Raises ConfigurationInvalid."""
        match = LOCATION.fullmatch(location)
        prefix = (match[2] or "").rstrip("/") if match else ""
        if match is None or (prefix and not _is_name(prefix)):
            raise ConfigurationInvalid(f'"{location}" names no bucket. Set MODEL_STORE to gs://BUCKET[/PREFIX].')
        return cls(_open_client(), match[1], prefix, patience)

    def read(self, name: str) -> Stored:
        blob = self._blob(name)
        with _failures_translated(name):
            stored: Stored = self._within_patience(lambda: self._retry(self._read)(blob))
            return stored

    def read_into(self, name: str, buffer: memoryview, offset: int = 0) -> None:
        blob = self._blob(name)
        target = _Target(buffer, self._patience.read + len(buffer) / SLOWEST_BYTES_PER_S)
        with _failures_translated(name):
            while target.position < len(buffer):
                before = target.position
                self._retry(self._read_on)(blob, target, offset)
                if target.position == before:
                    raise DigestMismatch(f"{name} ends after {offset + before} bytes. Publish the model again.")

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        blob, source = self._blob(name), _Source(data, on_progress)
        blob.chunk_size = UPLOAD_CHUNK_BYTES
        blob.metadata = {WRITER: uuid4().hex}
        is_json = name.endswith(".json")
        if is_json:
            blob.cache_control = "no-store"
        with _failures_translated(name, "objectCreator" if generation == NEW else "objectUser"):
            try:
                blob.upload_from_file(
                    source,
                    size=len(data),
                    content_type="application/json" if is_json else "application/octet-stream",
                    if_generation_match=generation,
                    checksum="crc32c",
                    # Without it a mismatch makes the client delete the object, whoever has written it meanwhile.
                    crc32c_checksum_value=_crc32c(data),
                    timeout=(self._patience.connect, self._patience.upload_answer),
                    retry=self._upload_retry,
                )
            except api.PreconditionFailed:
                if not self._has_arrived(blob):
                    raise
        source.finish()
        return int(blob.generation)

    def list(self, prefix: str = "") -> Iterator[str]:
        with _failures_translated("the list of names"):
            pages = self._client.list_blobs(
                self._bucket, prefix=self._prefix + prefix, fields="items(name),nextPageToken", **self._limits
            ).pages
            while (page := self._within_patience(lambda: next(pages, None))) is not None:
                # The consoles of Cloud Storage show a folder by an object whose name ends with a slash.
                yield from (blob.name.removeprefix(self._prefix) for blob in page if not blob.name.endswith("/"))

    @property
    def _limits(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "retry": self._retry}

    def _blob(self, name: str) -> storage.Blob:
        if not _is_name(name):
            raise ObjectNotFound(f"{name} is no object's name.")
        return self._bucket.blob(self._prefix + name)

    def _read(self, blob: storage.Blob) -> Stored:
        # The client's own retry would take up a broken answer in its middle, and then check no checksum.
        try:
            data = blob.download_as_bytes(raw_download=True, checksum="crc32c", timeout=self._timeout, retry=None)
        except DataCorruption as exc:
            raise ConnectionError("The bytes have changed on their way.") from exc
        return Stored(data, int(blob.generation))

    def _read_on(self, blob: storage.Blob, target: "_Target", offset: int) -> None:
        """Reads as far as one request gets."""
        before = target.position
        try:
            blob.download_to_file(
                target,
                start=offset + before,
                end=offset + len(target.buffer) - 1,
                raw_download=True,
                checksum=None,
                timeout=self._timeout,
                retry=None,
            )
        except api.RequestRangeNotSatisfiable:
            return
        except TimeoutError:
            raise
        except FAILURES:
            if target.position == before:
                raise

    def _has_arrived(self, blob: storage.Blob) -> bool:
        """Whether the object is what an earlier attempt of this upload wrote, whose answer got lost."""
        writer: str = blob.metadata[WRITER]
        try:
            self._within_patience(lambda: blob.reload(**self._limits))
        except (api.Forbidden, api.NotFound):
            return False
        return bool((blob.metadata or {}).get(WRITER) == writer)

    def _within_patience(self, call: Callable[[], T]) -> T:
        """``call`` in a thread of its own: neither name resolution nor a token's refresh heeds a timeout."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as exc:  # noqa: BLE001 - the caller's thread raises it
                future.set_exception(exc)

        threading.Thread(target=run, name="bucket", daemon=True).start()
        return future.result(self._patience.read)


class _Target:
    """Fills a buffer, never beyond its end nor after so many seconds."""

    def __init__(self, buffer: memoryview, seconds: float) -> None:
        self.buffer = buffer
        self.position = 0
        self._deadline = time.monotonic() + seconds

    def write(self, data: bytes) -> None:
        end = self.position + len(data)
        if end > len(self.buffer):
            raise DigestMismatch("The store gives more bytes than it was asked for.")
        if time.monotonic() > self._deadline:
            raise TimeoutError
        self.buffer[self.position : end] = data
        self.position = end


class _Source(BytesIO):
    """Tells of a chunk when the next one is asked for: only then it has arrived."""

    def __init__(self, data: bytes, on_progress: Callable[[int], None] | None) -> None:
        super().__init__(data)
        self._on_progress = on_progress
        self._told = 0

    def read(self, size: int | None = -1) -> bytes:
        self.finish()
        return super().read(size)

    def finish(self) -> None:
        if self._on_progress is not None and self.tell() > self._told:
            self._on_progress(self.tell() - self._told)
        self._told = self.tell()


def _open_client() -> storage.Client:
    # Else every client asks for the bucket's own metadata in a thread, for traces that nobody takes.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    try:
        client = storage.Client(project=None)
    except DefaultCredentialsError as exc:
        raise ConfigurationInvalid(
            "There are no credentials for the store. Run `gcloud auth application-default login`."
        ) from exc
    session = client._http
    if not session.is_mtls:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return client


def _is_name(name: str) -> bool:
    # A dot segment would be resolved on its way, into the URL of something else.
    return not {"", ".", ".."} & set(name.split("/"))


def _crc32c(data: bytes) -> str:
    return b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


@contextmanager
def _failures_translated(name: str, role: str = "objectViewer") -> Iterator[None]:
    try:
        yield
    except FAILURES as exc:
        cause = exc.cause if isinstance(exc, api.RetryError) and exc.cause else exc
        raise _translate(cause, name, role) from exc


def _translate(exc: Exception, name: str, role: str) -> Exception:
    match exc:
        case api.NotFound() if "bucket does not exist" not in str(exc):
            return ObjectNotFound(f"The store has no {name}.")
        case api.NotFound():
            message = "The store's bucket does not exist. Create it, or correct MODEL_STORE."
        case api.PreconditionFailed():
            return Conflict(
                f"{name} has been written by somebody else meanwhile. Look at it and run the command again."
            )
        case api.Forbidden() | api.Unauthorized():
            message = f"The store denies access to {name}. Grant roles/storage.{role} on its bucket."
        case RefreshError() | DefaultCredentialsError():
            message = "The store's credentials are not accepted. On a laptop: `gcloud auth application-default login`."
        case api.GoogleAPICallError(code=int(status)) | InvalidResponse(response=requests.Response(status_code=status)):
            message = f"The store answers {int(status)} for {name}. Try again."
        case _:
            message = f"The store gives no whole answer for {name}. Try again."
    return StoreUnavailable(message, retry_after=RETRY_AFTER_S)
