"""Writes to a bucket by Google's own client; the only module that imports google.cloud."""

import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from uuid import uuid4

import google_crc32c
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from model_functions.errors import ConfigurationInvalid, Conflict, ObjectNotFound, StoreUnavailable
from model_functions.store import NEW
from model_functions.store.bucket import RETRY_AFTER_S, Patience

UPLOAD_CHUNK_BYTES = 8 * 1024 * 1024
WRITER = "writer"
"""The metadata entry by which an upload that was repeated knows its own first attempt."""

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


class Uploader:
    """Writes the objects of one bucket.

    Args:
        prefix: of all names, with the slash at its end.
    """

    def __init__(self, bucket: str, prefix: str, patience: Patience) -> None:
        self._bucket = client(os.environ.get("STORAGE_EMULATOR_HOST")).bucket(bucket)
        self._prefix = prefix
        self._patience = patience
        retry = DEFAULT_RETRY.with_delay(initial=patience.pause, maximum=1.0)
        self._retry = retry.with_timeout(patience.read)
        self._upload_retry = retry.with_timeout(patience.upload)

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        """As Store.write."""
        blob, source = self._bucket.blob(self._prefix + name), _Source(data, on_progress)
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

    def _has_arrived(self, blob: storage.Blob) -> bool:
        """Whether the object is what an earlier attempt of this upload wrote, whose answer got lost."""
        writer: str = blob.metadata[WRITER]
        try:
            blob.reload(timeout=(self._patience.connect, self._patience.answer), retry=self._retry)
        except (api.Forbidden, api.NotFound):
            return False
        return bool((blob.metadata or {}).get(WRITER) == writer)


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


@cache
def client(emulator: str | None) -> storage.Client:
    """The client, of which a process needs one.

    Args:
        emulator: STORAGE_EMULATOR_HOST, which the client reads too.
    """
    # Else every client asks for the bucket's own metadata in a thread, for traces that nobody takes.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    try:
        return storage.Client(project=None)
    except DefaultCredentialsError as exc:
        raise ConfigurationInvalid(
            "There are no credentials for the store. Run `gcloud auth application-default login`."
        ) from exc


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
