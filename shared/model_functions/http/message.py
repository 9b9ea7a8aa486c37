"""A request and a response as plain data: what the edges and the routes share."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

from model_functions.access import ANYBODY, Identity
from model_functions.caller import Caller
from model_functions.errors import ServingError
from model_functions.http.room import Room
from model_functions.phases import Phases
from model_functions.tracing import Trace

JSON = "application/json"
HTML = "text/html; charset=utf-8"
EVENTS = "text/event-stream"


def _encoder() -> Callable[[Any], str]:
    """Of JSON, without NaN: the very function behind ``json.dumps``, which makes one for each value, and for a short
    value takes as long to make it as to use it.
    """
    parts = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return parts.encode
    quoted = json.encoder.encode_basestring
    encode = make(None, parts.default, quoted, None, ": ", ", ", False, False, False)
    return lambda value: "".join(encode(value, 0))


_ENCODE = _encoder()


@dataclass(slots=True)
class Request:
    """What came in.

    Args:
        path: decoded once, without the query.
        query: every (name, value), in order.
        headers: by lower-case name.
        read: up to so many bytes of the body; b"" at its end.
        target_length: characters of path and query as sent.
        id: the caller's, or one of ours; the front door sets it.
        came: when it did.
        route: the template of the path, as ``/v2/models/{model}``; the front door sets it.
        place: what stands in the path for the template's names; the front door sets it.
        identity: who asks; the front door sets it.
        refuse: renders an error as the route's protocol has it; the front door sets it.
        raw: the body as it came, once somebody has read it.
        room: in which a body that is longer than it said is counted; the front door sets it.
        held: bytes of the body that are counted there.
        trace: what it belongs to; the front door sets it.
        served: the model that it asks, once it is known that there is one.
        trouble: why it failed, for the log; nothing of what was sent.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    read: Callable[[int], bytes]
    target_length: int = 0
    id: str = ""
    came: float = field(default_factory=time.perf_counter)
    phases: Phases = field(default_factory=Phases)
    caller: Caller = field(default_factory=Caller)
    route: str = "other"
    place: Mapping[str, str] = field(init=False)
    identity: Identity = ANYBODY
    refuse: "Refuse | None" = None
    raw: bytes | None = None
    room: Room | None = None
    held: int = 0
    trace: Trace | None = None
    served: str = ""
    trouble: str = ""

    def accepts_html(self) -> bool:
        """Whether the caller would rather see a page than JSON, as a browser does."""
        accept = self.headers.get("accept", "")
        return "text/html" in accept and JSON not in accept

    def accepts_gzip(self) -> bool:
        """Whether the caller names gzip among what it can unpack, as every browser does."""
        return "gzip" in (name.strip() for name in self.headers.get("accept-encoding", "").split(","))

    def accepts_events(self) -> bool:
        """Whether the caller would rather see the answer piece by piece, as a browser's EventSource does."""
        accept = self.headers.get("accept", "")
        return EVENTS in accept and JSON not in accept and "*/*" not in accept


class Chunks(Protocol):
    """A body that is made while it is sent."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """Called once nobody reads on: at the end, after a failure, and when the caller hangs up before."""


@dataclass(slots=True)
class Response:
    """What goes out.

    Args:
        chunks: the body piece by piece, instead of ``body``.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Chunks | None = None

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
        """Raises ValueError for a NaN or an infinity, which JSON does not have."""
        body = _ENCODE(value).encode()
        return cls(status, body + b"\n", {"Content-Type": JSON, **(headers or {})})

    @classmethod
    def text(cls, text: str, content_type: str, headers: Mapping[str, str] | None = None) -> "Response":
        return cls(200, text.encode(), {"Content-Type": content_type, **(headers or {})})


class Awaited(Protocol):
    """What a request waits for. How it went, it tells the request itself."""

    def wait(self) -> None:
        """Until it is settled."""

    def when_settled(self, told: Callable[[], None]) -> None:
        """Calls ``told`` then, perhaps twice and from another thread; for an event loop, which soon calls ``help``."""

    def help(self) -> None:
        """Does of it what an event loop has the time for."""


class _Body:
    """Nothing to wait for in a thread, which reads the body where it is wanted."""

    def wait(self) -> None:
        pass

    def when_settled(self, told: Callable[[], None]) -> None:
        told()

    def help(self) -> None:
        pass


#: What steps yield, once, when the request is let in: no byte of its body needs to be read before.
BODY: Awaited = _Body()

#: How a request is answered, step by step, so that an event loop can do something else meanwhile. They yield what they
#: wait for, or None before what may take long: then a thread goes on that may wait.
Steps = Generator[Awaited | None, None, Response]

#: What answers a request, whichever edge it came through.
Handle = Callable[[Request], Steps]

#: What answers the requests of a route.
Handler = Callable[[Request], Response | Steps]

#: An error as an answer.
Refuse = Callable[[ServingError, Request], Response]


def finished(steps: Steps) -> Response:
    """The answer; waits for it in this thread. Raises what the steps raise."""
    try:
        while True:
            awaited = next(steps)
            if awaited is not None:
                awaited.wait()
    except StopIteration as end:
        return cast(Response, end.value)


def to_the_slash(prefix: str) -> Response:
    """The answer at the very prefix that something is mounted under: the page's own addresses are relative to it."""
    return Response(308, headers={"Location": f"{prefix.rpartition('/')[2]}/", "Content-Type": "text/plain"})
