"""A strict Cloud Storage over HTTP in this process, whose faults a test switches on.

By hand: ``python -m tests.fakes.bucket --port 9023 --bucket models``.
"""

import argparse
import base64
import gzip
import hashlib
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import uuid4

import google_crc32c

UPLOAD_GRAIN = 256 * 1024
"""Every chunk of a resumable upload but the last is a multiple of this."""

REASONS = {
    400: "invalid",
    401: "required",
    403: "forbidden",
    404: "notFound",
    411: "required",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
}


@dataclass
class Version:
    """One generation of an object."""

    bucket: str
    name: str
    data: bytes
    generation: int
    fields: dict[str, Any]
    metageneration: int = 1

    def __post_init__(self) -> None:
        self.crc32c = base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()
        self.md5 = base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()
        self.created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())

    @property
    def etag(self) -> str:
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    def resource(self, url: str) -> dict[str, Any]:
        path = f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        return {
            "contentType": "application/octet-stream",
            **self.fields,
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.data)),
            "crc32c": self.crc32c,
            "md5Hash": self.md5,
            "etag": self.etag,
            "storageClass": "STANDARD",
            "timeCreated": self.created,
            "updated": self.created,
            "selfLink": f"{url}/{path}",
            "mediaLink": f"{url}/download/{path}?generation={self.generation}&alt=media",
        }

    def headers(self) -> dict[str, str]:
        names = {"contentType": "Content-Type", "contentEncoding": "Content-Encoding", "cacheControl": "Cache-Control"}
        fields = {"contentType": "application/octet-stream", **self.fields}
        return {header: fields[name] for name, header in names.items() if name in fields} | {
            "ETag": f'"{self.etag}"',
            "X-Goog-Generation": str(self.generation),
            "X-Goog-Metageneration": str(self.metageneration),
            "X-Goog-Hash": f"crc32c={self.crc32c},md5={self.md5}",
            "X-Goog-Stored-Content-Length": str(len(self.data)),
            "X-Goog-Stored-Content-Encoding": fields.get("contentEncoding", "identity"),
            "X-Goog-Storage-Class": "STANDARD",
        }


@dataclass
class Bucket:
    name: str
    versioning: bool = False
    live: dict[str, Version] = field(default_factory=dict)
    archived: dict[tuple[str, int], Version] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    """What else stands in its resource."""

    def find(self, name: str, query: dict[str, str]) -> Version | None:
        live = self.live.get(name)
        if "generation" not in query:
            return live
        generation = number(query, "generation")
        return live if live and live.generation == generation else self.archived.get((name, generation))

    def retire(self, name: str) -> None:
        version = self.live.pop(name, None)
        if version is not None and self.versioning:
            self.archived[name, version.generation] = version

    def resource(self) -> dict[str, Any]:
        versioning = {"enabled": self.versioning}
        return (
            {"location": "US"} | self.fields | {"kind": "storage#bucket", "name": self.name, "versioning": versioning}
        )


@dataclass
class Session:
    """A resumable upload on its way."""

    bucket: str
    name: str
    fields: dict[str, Any]
    query: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    done: Version | None = None


@dataclass
class Call:
    """A request as it came and what it was answered; a test counts these."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    received: int
    account: str = ""
    """Whose every request to this port is, where it brings no token."""
    operation: str = ""
    bucket: str = ""
    object: str = ""
    status: int = 0
    sent: int = 0


@dataclass
class Answer:
    status: int
    body: bytes | memoryview = b""
    headers: dict[str, str] = field(default_factory=dict)
    first: int = 0
    """The object's byte that the body begins with."""


@dataclass
class Fault:
    """What goes wrong with the requests it matches. ``times`` counts down; None is always.

    The first three happen instead of the operation or before it, the others to its answer.
    """

    operation: str = "*"
    name: str = "*"
    times: int | None = 1
    after: int = 0
    """So many matching requests go well first."""
    status: int | None = None
    latency: float = 0.0
    black_hole: bool = False
    cut: int | None = None
    """The connection is reset after this many bytes of the body."""
    stall: tuple[int, float] | None = None
    """At this byte of the body, for so many seconds."""
    corrupt: int | None = None
    """The lowest bit of the object's byte at this offset; counted when a request asks for it."""
    truncate: int | None = None
    declare_truncated: bool = False
    """The Content-Length is then that of the shorter body, so that nothing looks wrong."""
    drop_hash: bool = False
    bandwidth: float | None = None
    """Bytes a second."""
    slice: int | None = None
    """The body comes in pieces of so many bytes."""
    gzip: bool = False
    """The body is packed on its way, as something between the bucket and its reader may do."""
    swap: bytes | None = None
    """Another generation's bytes are written as soon as this one has been looked up."""

    def matches(self, call: Call) -> bool:
        return (
            self.times != 0
            and self.operation in ("*", call.operation)
            and fnmatchcase(call.object, self.name)
            and call.operation != ""
        )


class ApiError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def answer(self) -> Answer:
        if self.status == 304:
            return Answer(304)
        reason = REASONS.get(self.status, "backendError")
        errors = [{"message": str(self), "domain": "global", "reason": reason}]
        return as_json({"error": {"code": self.status, "message": str(self), "errors": errors}}, self.status)


def as_json(value: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def number(query: dict[str, str], name: str) -> int:
    try:
        return int(query[name])
    except ValueError:
        raise ApiError(400, f"Invalid value for {name}: {query[name]}") from None


def check_preconditions(query: dict[str, str], found: Version | None, *, reading: bool = False) -> None:
    actual = {
        "Generation": found.generation if found else 0,
        "Metageneration": found.metageneration if found else 0,
    }
    for what, value in actual.items():
        if f"if{what}Match" in query and number(query, f"if{what}Match") != value:
            raise ApiError(412, "At least one of the pre-conditions you specified did not hold.")
        if f"if{what}NotMatch" in query and number(query, f"if{what}NotMatch") == value:
            raise ApiError(304 if reading else 412, "At least one of the pre-conditions you specified did not hold.")


def parse_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], str, bytes]:
    """The metadata, the media's type and the media. The lines may end with LF, as gcloud's do."""
    match = re.search(r"""boundary=(["']?)([^"';]+)\1""", content_type)
    if match is None:
        raise ApiError(400, "Multipart body without a boundary.")
    delimiter = b"--" + match[2].encode()
    line = b"\r\n" if body.startswith(delimiter + b"\r\n") else b"\n"
    parts = (line + body).split(line + delimiter)
    if len(parts) != 4 or parts[0] or not parts[3].startswith(b"--"):
        raise ApiError(400, "Multipart body is malformed.")
    _, _, metadata = parts[1].partition(line * 2)
    headers, _, media = parts[2].partition(line * 2)
    kind = re.search(rb"(?im)^content-type:[ \t]*([^\r\n]+)", headers)
    return parse_json(metadata), kind[1].decode() if kind else "", media


def uploaded_name(call: Call, body: bytes) -> str:
    """The name that an upload's metadata gives."""
    try:
        if call.query.get("uploadType") == "multipart":
            return str(parse_multipart(call.headers.get("content-type", ""), body)[0].get("name", ""))
        return str(parse_json(body).get("name", "")) if call.query.get("uploadType") == "resumable" else ""
    except ApiError:
        return ""


def parse_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(400, "Parse Error")
    return value


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None when the header is to be ignored."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if match is None or not any(match.groups()) or (match[1] and match[2] and int(match[1]) > int(match[2])):
        return None
    start = int(match[1]) if match[1] else max(size - int(match[2]), 0)
    end = min(int(match[2]) + 1, size) if match[1] and match[2] else size
    if start >= end:
        raise ApiError(416, "The requested range cannot be satisfied.")
    return start, end


class FakeBucket:
    """Serves while it is entered. Its Python side (``put``, ``data``) goes past faults and preconditions."""

    def __init__(self, *names: str, port: int = 0, required_token: str = "", page_size: int = 1000) -> None:
        self.buckets = {name: Bucket(name) for name in names}
        self.routes = ROUTES
        self.required_token = required_token
        self.page_size = page_size
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.released = threading.Event()
        self.on_call: Callable[[Call], None] = lambda _: None
        self._sessions: dict[str, Session] = {}
        self._generation = 0
        self._lock = threading.RLock()
        self._ended: list[BucketServer] = []
        self._server = BucketServer(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def connections(self) -> int:
        """Those that are open on this side."""
        return sum(server.connections() for server in [*self._ended, self._server])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        if self._server.crashes and error is None:
            raise self._server.crashes[0]

    # What a test says and asks.

    def fault(self, operation: str = "*", name: str = "*", **effects: Any) -> Fault:
        """``operation`` is read, write or list, ``name`` a pattern; the effects are Fault's fields."""
        fault = Fault(operation, name, **effects)
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        with self._lock:
            self.faults.clear()

    def count(self, operation: str = "*", name: str = "*") -> int:
        return sum(Fault(operation, name).matches(call) for call in self.calls)

    def put(self, name: str, data: bytes, bucket: str = "", **fields: Any) -> int:
        """The new generation."""
        with self._lock:
            return self._store(bucket or next(iter(self.buckets)), name, data, fields, {}, {}).generation

    def data(self, name: str, bucket: str = "") -> bytes:
        return self.buckets[bucket or next(iter(self.buckets))].live[name].data

    def names(self, bucket: str = "") -> list[str]:
        return sorted(self.buckets[bucket or next(iter(self.buckets))].live)

    def refuse(self) -> None:
        """Nobody listens any more, and all connections are reset, until ``listen`` is called."""
        self._server.shutdown()
        self._server.server_close()
        self._server.reset()

    def listen(self) -> None:
        """At the same address as before."""
        self._ended.append(self._server)
        self._server = BucketServer(self, self._server.server_address[1], self._server.crashes)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    # What the server asks.

    def take(self, call: Call) -> Fault:
        with self._lock:
            for fault in self.faults:
                if not fault.matches(call) or not self._is_hit(fault, call):
                    continue
                if fault.after == 0:
                    fault.times = fault.times and fault.times - 1
                    return fault
                fault.after -= 1
        return Fault()

    def _is_hit(self, fault: Fault, call: Call) -> bool:
        if fault.corrupt is None:
            return True
        try:
            found = self._existing(call, call.bucket, call.object)
            first, end = parse_range(call.headers.get("range", ""), len(found.data)) or (0, len(found.data))
        except ApiError:
            return False
        return first <= fault.corrupt < end

    def answer(self, call: Call, body: bytes) -> Answer:
        if self.required_token and call.headers.get("authorization") != f"Bearer {self.required_token}":
            raise ApiError(401, "Anonymous caller does not have storage.objects access to the object.")
        framing = {"content-length", "transfer-encoding"}
        if call.method in ("POST", "PUT", "PATCH") and not framing & call.headers.keys():
            raise ApiError(411, "Length Required")
        for method, pattern, _, answer in self.routes:
            match = re.fullmatch(pattern, call.path)
            if method == call.method and match:
                with self._lock:
                    return answer(self, call, body, *map(unquote, match.groups()))
        raise ApiError(404, "Not Found")

    def get_bucket(self, _: Call, __: bytes, name: str) -> Answer:
        return as_json(self._bucket(name).resource())

    def patch_bucket(self, _: Call, body: bytes, name: str) -> Answer:
        bucket = self._bucket(name)
        bucket.versioning = parse_json(body).get("versioning", {}).get("enabled", bucket.versioning)
        return as_json(bucket.resource())

    def get_object(self, call: Call, _: bytes, bucket: str, name: str) -> Answer:
        found = self._existing(call, bucket, name)
        check_preconditions(call.query, found, reading=True)
        if call.query.get("alt") != "media":
            return as_json(found.resource(self.url))
        part = parse_range(call.headers.get("range", ""), len(found.data))
        if part is None:
            return Answer(200, found.data, found.headers())
        first, end = part
        headers = found.headers() | {"Content-Range": f"bytes {first}-{end - 1}/{len(found.data)}"}
        return Answer(206, memoryview(found.data)[first:end], headers, first)

    def patch_object(self, call: Call, body: bytes, bucket: str, name: str) -> Answer:
        found = self._existing(call, bucket, name)
        check_preconditions(call.query, found)
        found.fields |= parse_json(body)
        found.metageneration += 1
        return as_json(found.resource(self.url))

    def delete_object(self, call: Call, _: bytes, bucket: str, name: str) -> Answer:
        found = self._existing(call, bucket, name)
        check_preconditions(call.query, found)
        if "generation" not in call.query:
            self.buckets[bucket].retire(name)
        elif self.buckets[bucket].live.get(name) is found:
            del self.buckets[bucket].live[name]
        else:
            del self.buckets[bucket].archived[name, found.generation]
        return Answer(204)

    def list_objects(self, call: Call, _: bytes, name: str) -> Answer:
        query, bucket = call.query, self._bucket(name)
        archived = bucket.archived.values() if query.get("versions", "").lower() == "true" else ()
        entries = sorted(list_entries([*bucket.live.values(), *archived], query), key=lambda entry: entry[:2])
        token = query.get("pageToken", "")
        rest = [entry for entry in entries if not token or entry[:2] > (token[20:], int(token[:20]))]
        page = rest[: min(number(query, "maxResults") if "maxResults" in query else 1000, self.page_size)]
        result: dict[str, Any] = {"kind": "storage#objects"}
        result["items"] = [version.resource(self.url) for _, _, version in page if version is not None]
        result["prefixes"] = [prefix for prefix, _, version in page if version is None]
        if len(page) < len(rest):
            result["nextPageToken"] = f"{page[-1][1]:020}{page[-1][0]}"
        return as_json(result)

    def upload(self, call: Call, body: bytes, bucket: str) -> Answer:
        self._bucket(bucket)
        kind = call.query.get("uploadType")
        content_type = call.headers.get("content-type", "")
        if kind == "multipart":
            fields, content_type, data = parse_multipart(content_type, body)
        elif kind == "media":
            fields, data = {}, body
        elif kind == "resumable":
            return self._begin(call, parse_json(body), bucket)
        else:
            raise ApiError(400, f"Unknown uploadType: {kind}")
        fields.setdefault("contentType", content_type or "application/octet-stream")
        if not call.object:
            raise ApiError(400, "Required parameter: name")
        version = self._store(bucket, call.object, data, fields, call.query, header_hashes(call))
        return as_json(version.resource(self.url))

    def _begin(self, call: Call, fields: dict[str, Any], bucket: str) -> Answer:
        if not call.object:
            raise ApiError(400, "Required parameter: name")
        check_preconditions(call.query, self.buckets[bucket].live.get(call.object))
        fields.setdefault("contentType", call.headers.get("x-upload-content-type", "application/octet-stream"))
        key = uuid4().hex
        self._sessions[key] = Session(bucket, call.object, fields, call.query)
        name = quote(call.object, safe="")
        return Answer(200, headers={"Location": f"{self.url}{call.path}?name={name}&upload_id={key}"})

    def continue_upload(self, call: Call, body: bytes, _: str) -> Answer:
        session = self._sessions.get(call.query.get("upload_id", ""))
        if session is None:
            raise ApiError(404, "No such upload.")
        if session.done is None and self._append(call, body, session):
            place, data, hashes = (session.bucket, session.name), bytes(session.data), header_hashes(call)
            session.done = self._store(*place, data, session.fields, session.query, hashes)
        if session.done is not None:
            return as_json(session.done.resource(self.url))
        return Answer(308, headers={"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})

    def _append(self, call: Call, body: bytes, session: Session) -> bool:
        """Whether the upload is complete now."""
        header = call.headers.get("content-range", f"bytes 0-{len(body) - 1}/{len(body)}" if body else "bytes */0")
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", header)
        if match is None:
            raise ApiError(400, f"Invalid Content-Range: {header}")
        if match[1] is not None:
            first, last = int(match[1]), int(match[2])
            if last - first + 1 != len(body):
                raise ApiError(400, f"{header} does not fit a body of {len(body)} bytes.")
            if first > len(session.data):
                raise ApiError(400, f"The upload offset {first} exceeds the {len(session.data)} bytes uploaded.")
            if match[3] != str(last + 1) and len(body) % UPLOAD_GRAIN:
                raise ApiError(400, f"A chunk must be a multiple of {UPLOAD_GRAIN} bytes, not {len(body)}.")
            # Bytes that have come before are ignored, as Cloud Storage does.
            session.data += body[len(session.data) - first :]
        elif body:
            raise ApiError(400, f"{header} must come without a body.")
        return match[3] == str(len(session.data))

    def cancel_upload(self, call: Call, _: bytes, __: str) -> Answer:
        if self._sessions.pop(call.query.get("upload_id", ""), None) is None:
            raise ApiError(404, "No such upload.")
        return Answer(499)

    def _bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise ApiError(404, "The specified bucket does not exist.")
        return self.buckets[name]

    def _existing(self, call: Call, bucket: str, name: str) -> Version:
        found = self._bucket(bucket).find(name, call.query)
        if found is None:
            raise ApiError(404, f"No such object: {bucket}/{name}")
        return found

    def _store(
        self,
        bucket: str,
        name: str,
        data: bytes,
        fields: dict[str, Any],
        query: dict[str, str],
        hashes: dict[str, str],
    ) -> Version:
        check_preconditions(query, self._bucket(bucket).live.get(name))
        self._generation = max(time.time_ns() // 1000, self._generation + 1)
        version = Version(bucket, name, data, self._generation, fields)
        for claimed in (fields, hashes):
            for key, actual in (("crc32c", version.crc32c), ("md5Hash", version.md5)):
                if claimed.get(key, actual) != actual:
                    raise ApiError(400, f"Provided {key} '{claimed[key]}' doesn't match calculated '{actual}'.")
        self.buckets[bucket].retire(name)
        self.buckets[bucket].live[name] = version
        return version


def list_entries(versions: list[Version], query: dict[str, str]) -> Iterator[tuple[str, int, Version | None]]:
    """Name, generation and object; a folder has no object."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    folders = set()
    for version in versions:
        folder, found, _ = version.name.removeprefix(prefix).partition(delimiter or "\0")
        if version.name.startswith(prefix) and found:
            folders.add(prefix + folder + delimiter)
        elif version.name.startswith(prefix):
            yield version.name, version.generation, version
    yield from ((folder, 0, None) for folder in folders)


def header_hashes(call: Call) -> dict[str, str]:
    names = {"crc32c": "crc32c", "md5": "md5Hash"}
    pairs = (item.strip().partition("=") for item in call.headers.get("x-goog-hash", "").split(","))
    return {names[key]: value for key, _, value in pairs if key in names}


_BUCKET = "/storage/v1/b/([^/]+)"
_UPLOAD = f"(?:/resumable)?/upload{_BUCKET}/o"
ROUTES: list[tuple[str, str, str, Callable[..., Answer]]] = [
    ("GET", _BUCKET, "", FakeBucket.get_bucket),
    ("PATCH", _BUCKET, "", FakeBucket.patch_bucket),
    ("GET", f"{_BUCKET}/o", "list", FakeBucket.list_objects),
    ("GET", f"(?:/download)?{_BUCKET}/o/(.+)", "read", FakeBucket.get_object),
    ("PATCH", f"{_BUCKET}/o/(.+)", "write", FakeBucket.patch_object),
    ("DELETE", f"{_BUCKET}/o/(.+)", "write", FakeBucket.delete_object),
    ("POST", _UPLOAD, "write", FakeBucket.upload),
    ("PUT", _UPLOAD, "write", FakeBucket.continue_upload),
    ("DELETE", _UPLOAD, "write", FakeBucket.cancel_upload),
]


class BucketServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, fake: FakeBucket, port: int, crashes: list[Exception] | None = None, account: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.fake = fake
        self.account = account
        self.crashes: list[Exception] = [] if crashes is None else crashes
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # Only closed: a shutdown before it would turn a reset into an orderly end.
        request.close()
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Ends every connection, an idle one that the client keeps alive too."""
        with self._changed:
            for request in self._open:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._open, timeout=5)

    def connections(self) -> int:
        with self._changed:
            return len(self._open)

    def reset(self) -> None:
        """Breaks every connection off."""
        with self._changed:
            for request in self._open:
                try:
                    request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.crashes.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: BucketServer

    def serve(self) -> None:
        fake = self.server.fake
        body = self._read_body()
        call = self._call(body)
        fake.calls.append(call)
        fake.on_call(call)
        fault = fake.take(call)
        self._wait(fault.latency)
        if fault.black_hole:
            fake.released.wait()
            raise ConnectionAbortedError
        try:
            if fault.status is not None:
                raise ApiError(fault.status, "We encountered an internal error. Please try again.")
            answer = fake.answer(call, body)
            if fault.swap is not None:
                fake.put(call.object, fault.swap, call.bucket)
        except ApiError as exc:
            answer = exc.answer()
        self._send(answer, call, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the base class looks for these names

    def log_message(self, *_: Any) -> None:
        pass

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            if len(body) != size:
                raise ConnectionAbortedError
            return body
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _call(self, body: bytes) -> Call:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        call = Call(self.command, url.path, query, headers, len(body), self.server.account)
        for method, pattern, operation, _ in self.server.fake.routes:
            match = re.fullmatch(pattern, call.path)
            if method == call.method and match:
                call.operation = operation
                call.bucket, call.object = (*map(unquote, match.groups()), "", "")[:2]
                call.object = call.object or query.get("name") or query.get("prefix") or uploaded_name(call, body)
        return call

    def _wait(self, seconds: float) -> None:
        if seconds and self.server.fake.released.wait(seconds):
            raise ConnectionAbortedError

    def _send(self, answer: Answer, call: Call, fault: Fault) -> None:
        body, headers = answer.body, dict(answer.headers)
        if fault.corrupt is not None:
            spoilt = bytearray(body)
            spoilt[fault.corrupt - answer.first] ^= 1
            body = bytes(spoilt)
        if fault.gzip:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        declared = len(body)
        if fault.truncate is not None:
            body = body[: fault.truncate]
            declared = len(body) if fault.declare_truncated else declared
        if fault.drop_hash:
            headers.pop("X-Goog-Hash", None)
        call.status = answer.status
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        self._stream(memoryview(body), call, fault)
        self.close_connection = self.close_connection or len(body) != declared

    def _stream(self, body: memoryview, call: Call, fault: Fault) -> None:
        stall_at, stall_for = fault.stall or (len(body) + 1, 0.0)
        end = len(body) if fault.cut is None else min(fault.cut, len(body))
        step = fault.slice or (1 << 20 if fault.bandwidth is None else max(1, int(fault.bandwidth / 20)))
        position = 0
        while position < end:
            if position == stall_at:
                self._wait(stall_for)
            until = min(position + step, end, stall_at if stall_at > position else end)
            if fault.bandwidth is not None:
                self._wait((until - position) / fault.bandwidth)
            # Counted before, since the client may look as soon as it has them.
            call.sent = until
            self.connection.sendall(body[position:until])
            position = until
        if fault.cut is not None:
            # A reset takes back what has arrived and is not yet read; a network's would have been read by then.
            self._wait(0.02)
            # Lingering for no time makes the close a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True


def main() -> None:
    parser = argparse.ArgumentParser(description="A Cloud Storage on this machine, for the real client and gcloud.")
    parser.add_argument("--port", type=int, default=9023)
    parser.add_argument("--bucket", action="append", required=True, help="may be given several times")
    parser.add_argument("--folder", type=Path, help="its files become the first bucket's objects")
    arguments = parser.parse_args()
    with FakeBucket(*arguments.bucket, port=arguments.port) as bucket:
        for path in sorted(arguments.folder.rglob("*")) if arguments.folder else []:
            if path.is_file():
                bucket.put(path.relative_to(arguments.folder).as_posix(), path.read_bytes())
        print(f"export STORAGE_EMULATOR_HOST={bucket.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(bucket.calls)} requests served.")


if __name__ == "__main__":
    main()
