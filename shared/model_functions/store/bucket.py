"""A Cloud Storage bucket as a store: read by plain HTTP, because a cold start pays for every import."""

import hashlib
import http.client
import json
import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from model_functions.errors import ConfigurationInvalid, DigestMismatch, ObjectNotFound, StoreUnavailable
from model_functions.store import Stored
from model_functions.store.connection import Connections, Response
from model_functions.store.credentials import AccessTokens, access_tokens

ENDPOINT = "https://storage.googleapis.com"
RETRY_AFTER_S = 5
SLOWEST_BYTES_PER_S = 100_000
"""``read_into`` gives up on a store that falls behind it."""
LARGEST_READ_BYTES = 64 * 1024 * 1024
"""``read`` is for documents."""
PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses that may be gone a moment later."""

T = TypeVar("T")
SPAN = re.compile(r"bytes (\d+)-(\d+)/")
LOCATION = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?")
_BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Patience:
    """Seconds to wait before the store counts as unavailable."""

    pause: float = 0.2
    """Before the first repetition of a request; the next pauses double, up to a second."""
    connect: float = 3.05
    answer: float = 3.0
    """Between two bytes of an answer."""
    read: float = 4.5
    """For a whole ``read``, for a page of ``list``, for the next byte of ``read_into``."""
    upload_answer: float = 60.0
    upload: float = 120.0
    """For each request of an upload, its repetitions included."""


class _Passing(Exception):
    """A failure that may be gone a moment later; the argument is what to raise if it is not."""

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(error)
        self.error = error


class BucketStore:
    """Safe for several threads, which share its connections.

    Args:
        endpoint: where the JSON API answers.
        prefix: of all names, without the slash at its end.
    """

    def __init__(
        self, endpoint: str, bucket: str, prefix: str, tokens: AccessTokens, patience: Patience | None = None
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._tokens = tokens
        self.patience = patience or Patience()
        self._connections = Connections(endpoint, self.patience.connect, self.patience.answer)

    @classmethod
    def at(cls, location: str, patience: Patience | None = None) -> Self:
        """The store at ``gs://bucket[/prefix]``. Raises ConfigurationInvalid."""
        match = LOCATION.fullmatch(location)
        prefix = (match[2] or "").rstrip("/") if match else ""
        if match is None or (prefix and not _is_name(prefix)):
            raise ConfigurationInvalid(f'"{location}" names no bucket. Set MODEL_STORE to gs://BUCKET[/PREFIX].')
        endpoint = os.environ.get("STORAGE_EMULATOR_HOST") or ENDPOINT
        return cls(endpoint, match[1], prefix, access_tokens(), patience)

    @property
    def location(self) -> str:
        return f"gs://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> Stored:
        target = self.target(name)
        return self._within_patience(name, lambda: self._repeated(lambda by: self._read(name, target, by)))

    def open(self, name: str) -> "BucketObject":
        return BucketObject(self, name, self.target(name))

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        # Imported here: Google's own client is for who publishes, with time to spare.
        from model_functions.store.upload import Uploader

        self.target(name)
        uploader = Uploader(self._bucket, self._prefix, self.patience)
        return uploader.write(name, data, generation=generation, on_progress=on_progress)

    def list(self, prefix: str = "") -> Iterator[str]:
        query = {"prefix": self._prefix + prefix, "fields": "items(name),nextPageToken"}
        more: str | None = ""
        while more is not None:
            target = f"/storage/v1/b/{self._bucket}/o?" + urlencode(query | ({"pageToken": more} if more else {}))
            page = self._page(target)
            # The consoles of Cloud Storage show a folder by an object whose name ends with a slash.
            names = (item["name"] for item in page.get("items", []))
            yield from (name.removeprefix(self._prefix) for name in names if not name.endswith("/"))
            more = page.get("nextPageToken")

    def target(self, name: str) -> str:
        """The path of an object's bytes. Raises ObjectNotFound for what is no name."""
        if not _is_name(name):
            raise ObjectNotFound(f"{name} is no object's name.")
        return f"/download/storage/v1/b/{self._bucket}/o/{quote(self._prefix + name, safe='')}?alt=media"

    def ask(self, name: str, target: str, use: Callable[[Response], T], **headers: str) -> T:
        """What ``use`` makes of the answer to one request, of status 200 or 206.

        Raises _Passing for what may be gone a moment later, and as ``read`` does.
        """
        try:
            authorization = self._tokens.headers()
            # Without it, the bucket would unpack what is stored as gzip.
            sent = {"Accept-Encoding": "gzip"} | authorization | headers
            with self._connections.get(target, sent) as response:
                if response.status in (200, 206):
                    return use(response)
                body, status = response.read(4096), response.status
        except _BROKEN as exc:
            raise _Passing(_unavailable(f"The store gives no whole answer for {name}. Try again.")) from exc
        if status == 401 and self._tokens.refused(authorization):
            raise _Passing(_denied(name))
        raise _refusal(name, status, body)

    def _read(self, name: str, target: str, deadline: float) -> Stored:
        def whole(response: Response) -> Stored:
            if (response.length or 0) > LARGEST_READ_BYTES:
                raise _unavailable(f"{name} has {response.length} bytes, too many for a document.")
            data = response.read_by(deadline)
            declared = response.headers.get("x-goog-hash", "")
            md5 = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
            if "md5=" in declared and f"md5={md5}" not in declared:
                raise OSError("The bytes have changed on their way.")
            return Stored(data, int(response.headers["x-goog-generation"]))

        return self.ask(name, target, whole)

    def _page(self, target: str) -> dict[str, Any]:
        def parsed(response: Response, deadline: float) -> dict[str, Any]:
            try:
                page: dict[str, Any] = json.loads(response.read_by(deadline))
            except ValueError as exc:
                raise OSError("no JSON") from exc
            return page

        def asked(deadline: float) -> dict[str, Any]:
            return self.ask(name, target, lambda response: parsed(response, deadline))

        name = "the list of names"
        return self._within_patience(name, lambda: self._repeated(asked))

    def _repeated(self, call: Callable[[float], T]) -> T:
        """Repeats what fails in passing, until the patience for a read ends: at the time that ``call`` is given."""
        deadline = time.monotonic() + self.patience.read
        pause = self.patience.pause
        while True:
            try:
                return call(deadline)
            except _Passing as failure:
                if time.monotonic() + pause > deadline:
                    raise failure.error from failure.__cause__
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _within_patience(self, name: str, call: Callable[[], T]) -> T:
        """``call`` in a thread of its own: neither name resolution nor a token's refresh heeds a timeout."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as exc:  # noqa: BLE001 - the caller's thread raises it
                future.set_exception(exc)

        threading.Thread(target=run, name="bucket", daemon=True).start()
        try:
            return future.result(self.patience.read)
        except TimeoutError as exc:
            raise _unavailable(f"The store gives no whole answer for {name}. Try again.") from exc


class BucketObject:
    """One generation of an object: the first answer tells which, and all further requests name it."""

    def __init__(self, store: BucketStore, name: str, target: str) -> None:
        self._store, self._name, self._target = store, name, target
        self.size: int | None = None
        self._generation: str | None = None
        self._pinning = threading.Lock()
        self.given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def read_into(self, buffer: memoryview, offset: int = 0) -> None:
        patience, position = self._store.patience, 0
        progressed = time.monotonic()
        # Once for its first byte, and once more for a slow start.
        deadline = progressed + 2 * patience.read
        pause = patience.pause
        while position < len(buffer):
            self.check_wanted()
            before = position
            failure: _Passing | None = None
            reading = _Reading(self, buffer[position:], deadline + position / SLOWEST_BYTES_PER_S)
            try:
                self._read_on(reading, offset + position)
            except _Passing as exc:
                failure = exc
            position += reading.position
            if position > before:
                progressed, pause = time.monotonic(), patience.pause
            elif failure is None:
                raise DigestMismatch(f"{self._name} ends after {offset + position} bytes. Publish the model again.")
            now = time.monotonic()
            late = now > deadline + position / SLOWEST_BYTES_PER_S or now + pause > progressed + patience.read
            if failure is not None and late:
                raise failure.error from failure.__cause__
            if position == before:
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    def give_up(self) -> None:
        self.given_up = True

    def check_wanted(self) -> None:
        """Raises StoreUnavailable where nobody waits any longer."""
        if self.given_up:
            raise _unavailable(f"{self._name} was given up. Try again.")

    def _read_on(self, reading: "_Reading", offset: int) -> None:
        """Reads as far as one request gets."""
        with ExitStack() as pinning:
            if self._generation is None:
                pinning.enter_context(self._pinning)
            pinned = self._generation

            def use(response: Response) -> None:
                self._generation = self._generation or response.headers["x-goog-generation"]
                whole = response.headers.get("content-range", "").rpartition("/")[2]
                if _is_packed(response):
                    raise OSError("The bytes are packed, by somebody on their way.")
                self.size = int(whole) if whole.isdecimal() else self.size
                # The others have waited for these headers, and not for the bytes; they ask for the same generation.
                pinning.close()
                reading.fill(response)

            byte_range = f"bytes={offset}-{offset + len(reading.buffer) - 1}"
            target = self._target if pinned is None else f"{self._target}&generation={pinned}"
            try:
                self._store.ask(self._name, target, use, Range=byte_range)
            except _RangeEnded:
                return
            except ObjectNotFound:
                if pinned is None:
                    raise
                raise _unavailable(f"{self._name} was replaced while it was read. Try again.") from None


class _Reading:
    """What one request brings.

    Args:
        deadline: of its first byte, as time.monotonic tells it; every further one may come a little later.
    """

    def __init__(self, source: BucketObject, buffer: memoryview, deadline: float) -> None:
        self.buffer = buffer
        self.position = 0
        self._source, self._deadline = source, deadline

    def fill(self, response: Response) -> None:
        if (response.length or 0) > len(self.buffer):
            raise DigestMismatch("The store gives more bytes than it was asked for.")
        while self.position < len(self.buffer):
            count = response.readinto1(self.buffer[self.position :])
            if count == 0:
                return
            self.position += count
            self._source.check_wanted()
            if time.monotonic() > self._deadline + self.position / SLOWEST_BYTES_PER_S:
                raise TimeoutError


class _RangeEnded(Exception):
    """The object ends before the bytes that were asked for."""


def _is_packed(response: Response) -> bool:
    """Whether it has other bytes than those of the object that it says it has."""
    span = SPAN.match(response.headers.get("content-range", ""))
    if span is None or response.length is None or "content-encoding" not in response.headers:
        return False
    return response.length != int(span[2]) - int(span[1]) + 1


def _refusal(name: str, status: int, body: bytes) -> Exception:
    if status == 416:
        return _RangeEnded()
    if status == 404:
        if b"bucket does not exist" in body:
            return _unavailable("The store's bucket does not exist. Create it, or correct MODEL_STORE.")
        return ObjectNotFound(f"The store has no {name}.")
    if status in (401, 403):
        return _denied(name)
    error = _unavailable(f"The store answers {status} for {name}. Try again.")
    return _Passing(error) if status in PASSING else error


def _denied(name: str) -> StoreUnavailable:
    return _unavailable(f"The store denies access to {name}. Grant roles/storage.objectViewer on its bucket.")


def _unavailable(message: str) -> StoreUnavailable:
    return StoreUnavailable(message, retry_after=RETRY_AFTER_S)


def _is_name(name: str) -> bool:
    # A dot segment would be resolved on its way, into the URL of something else.
    return not {"", ".", ".."} & set(name.split("/"))
