"""The ASGI edge, functions-framework's own with ``FUNCTION_USE_ASGI``: plain ASGI, so it imports no framework.

What takes next to no time is done on the event loop, the rest in threads. A connection that sends or reads slowly
occupies neither, and a caller who hangs up is noticed.
"""

import asyncio
import contextvars
import math
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import parse_qsl

from model_functions import logs
from model_functions.caller import Caller
from model_functions.errors import BodyTimeout, Overloaded, ServingError
from model_functions.http import observed, pulse
from model_functions.http.body import broken, has_body, make_room, too_large
from model_functions.http.message import (
    BODY,
    Awaited,
    Chunks,
    Handle,
    Request,
    Response,
    Steps,
    finished,
    to_the_slash,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

#: Bytes of a body that is read on the event loop: to parse more would keep everybody else waiting.
QUICK_BODY = 64 * 1024

#: Bytes of an answer that are handed over at once: what the socket does not take yet, asyncio copies.
PIECE = 256 * 1024


def asgi_function(
    handle: Handle, *, threads: int, max_body_bytes: int, body_timeout_s: float
) -> Callable[[Any], Coroutine[Any, Any, Application]]:
    """A target for functions-framework, which demands a plain function."""
    edge = AsgiEdge(handle, threads, max_body_bytes, body_timeout_s)
    master = os.getpid()

    async def predict(request: Any) -> Application:
        # Called once: the requests after it go past the framework's router, which knows but seven methods and takes
        # longer than all of ours.
        request.scope["app"].middleware_stack = edge.serve
        loop = asyncio.get_running_loop()
        observed.collect(loop)
        if os.getppid() == master:
            # Only where somebody starts another worker.
            pulse.watch(loop)
        return edge.serve

    return predict


class AsgiEdge:
    """Serves requests by a handler that knows no edge.

    Args:
        threads: how many requests that wait may be handled at a time.
        body_timeout_s: how long a caller may send nothing in the middle of a request.
    """

    def __init__(self, handle: Handle, threads: int, max_body_bytes: int, body_timeout_s: float) -> None:
        self._handle = handle
        self._limit = max_body_bytes
        self._watchdog = _Watchdog(body_timeout_s)
        self._patience = _Patience()
        # It starts its threads when they are needed, which is after the fork.
        self._pool = ThreadPoolExecutor(threads, "request")

    async def serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            await _answer_other(scope["type"], receive, send)
            return
        request = read_request(scope)
        if not request.path:
            await _send(to_the_slash(scope["root_path"]), _Body(), send)
            return
        steps = self._handle(request)
        refusal = await self._let_in(steps, request)
        if refusal is not None:
            await self._refuse(refusal, request, receive, send)
            return
        # RFC 9112, 6.1: chunks in HTTP/1.0 may have been two requests to whoever passed them on.
        ambiguous = "transfer-encoding" in request.headers and scope.get("http_version") == "1.0"
        body = _Body(fault=broken()) if ambiguous else await self._body(request, receive)
        request.read = body.read()
        watch = _Watch(receive, request.caller)
        try:
            response = await self._on_loop(steps, watch) if body.size <= QUICK_BODY else None
            if response is not None and response.chunks is None:
                await _send(response, body, send)
                return
            watch.begin()
            if response is None:
                logs.enter(request.headers, request.trace)
                response = await self._finished(steps, request.caller)
            if response.chunks is None:
                await _send(response, body, send)
            else:
                await self._stream(response.chunks, response.status, _head(response, body), send, watch)
        finally:
            watch.end()

    async def _let_in(self, steps: Steps, request: Request) -> Response | None:
        """None once the body is wanted; the answer to what is refused before."""
        found = _step(steps)
        while found is not BODY:
            if isinstance(found, Response):
                return found
            logs.enter(request.headers, request.trace)
            found = await self._in_thread(_step, steps)
        return None

    async def _refuse(self, refusal: Response, request: Request, receive: Receive, send: Send) -> None:
        """Answers at once, and reads and drops the body then: who still sends when the connection ends gets nothing."""
        # Who waits to be told to go on is told to do so by the reading.
        if "expect" in request.headers or not has_body(request):
            await _send(refusal, _NOT_WANTED, send)
            return
        head = [*_head(refusal, _NOT_WANTED), (b"content-length", b"%d" % len(refusal.body))]
        await send({"type": "http.response.start", "status": refusal.status, "headers": head})
        await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
        with suppress(TimeoutError), self._watchdog as watch:
            while (message := await receive())["type"] != "http.disconnect" and message.get("more_body"):
                watch.goes_on()
        await send({"type": "http.response.body", "body": b""})

    async def _body(self, request: Request, receive: Receive) -> "_Body":
        """All of it, if it is not too long; what is too much is read and dropped."""
        blocks = deque[bytes]()
        count, more = 0, True
        fault: ServingError | None = None
        try:
            with self._watchdog as watch:
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _Body(fault=broken())
                    block, more = message.get("body", b""), message.get("more_body", False)
                    count += len(block)
                    if count > self._limit:
                        fault = too_large(count, self._limit)
                    elif fault is None:
                        fault = _without_room(request, count)
                        blocks.append(block)
                    if fault is not None:
                        blocks.clear()
                    if more:
                        watch.goes_on()
        except TimeoutError:
            return _Body(fault=_timed_out(count, self._watchdog.seconds))
        return _Body(blocks, 0 if fault else count, fault, ended=True)

    async def _stream(
        self, chunks: Chunks, status: int, head: list[tuple[bytes, bytes]], send: Send, watch: "_Watch"
    ) -> None:
        """Each chunk as soon as there is one, and the next is made when the caller has room for it."""
        try:
            await send({"type": "http.response.start", "status": status, "headers": head})
            while not watch.is_over and (chunk := await self._in_thread(next, chunks, None)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await self._in_thread(chunks.close)
        await send({"type": "http.response.body", "body": b""})

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._pool, context.run, call, *arguments)

    async def _on_loop(self, steps: Steps, watch: "_Watch") -> Response | None:
        """The answer, unless the next of its steps may take long."""
        try:
            while (awaited := next(steps)) is not None:
                await self._patience.settled(awaited, watch)
        except StopIteration as end:
            return cast(Response, end.value)
        return None

    async def _finished(self, steps: Steps, caller: Caller) -> Response:
        """The answer, from a thread. Whoever waits for a free one no longer has another answer in time."""
        jobs = list[Future[Response]]()
        # Before there is one: what it waits for itself, it is told of.
        caller.when_gone(lambda: jobs and jobs[0].cancel())
        job = self._pool.submit(contextvars.copy_context().run, finished, steps)
        jobs.append(job)
        remaining = caller.remaining()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(remaining, job.cancel) if remaining < math.inf else None
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if _task().cancelling() or not job.cancelled():
                raise
            return _thrown(steps, caller.reason())
        finally:
            if timer is not None:
                timer.cancel()


def _without_room(request: Request, count: int) -> ServingError | None:
    try:
        make_room(request, count)
    except Overloaded as exc:
        return exc
    return None


def _step(steps: Steps) -> Awaited | Response | None:
    try:
        return next(steps)
    except StopIteration as end:
        return cast(Response, end.value)


def _thrown(steps: Steps, error: ServingError) -> Response:
    """The answer of steps that wait in vain."""
    try:
        steps.throw(error)
    except StopIteration as end:
        return cast(Response, end.value)
    raise RuntimeError("steps went on behind an error")


class _Watch:
    """Notices that a caller hangs up, from its beginning on."""

    __slots__ = ("_receive", "_task", "caller", "seen")

    def __init__(self, receive: Receive, caller: Caller) -> None:
        self.caller = caller
        self.seen = False
        self._receive = receive
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(_watch(self._receive, self.caller))

    @property
    def is_over(self) -> bool:
        return self._task is not None and self._task.done()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()


class _Patience:
    """Wakes what awaits something for longer than its caller does, to 50 ms: a timer for each, and a watch, would take
    longer than what most of them await.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], _Watch] = {}
        self._looking = False

    async def settled(self, awaited: Awaited, watch: _Watch) -> None:
        """Until it is, or the caller waits no longer."""
        loop, thread = asyncio.get_running_loop(), threading.get_ident()
        settled = loop.create_future()

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        def told() -> None:
            if threading.get_ident() == thread:
                settle()
                return
            # The loop may be gone, and its caller with it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle)

        awaited.when_settled(told)
        # Not now: what else has arrived in the meantime is awaited first, so that they are done together.
        loop.call_soon(awaited.help)
        self._waiting[settled] = watch
        if not self._looking:
            self._look()
        try:
            await settled
        finally:
            del self._waiting[settled]

    def _look(self) -> None:
        for settled, watch in self._waiting.items():
            if not settled.done() and not watch.caller.remaining():
                settled.set_result(None)
            if watch.seen:
                watch.begin()
            watch.seen = True
        self._looking = bool(self._waiting)
        if self._looking:
            asyncio.get_running_loop().call_later(0.05, self._look)


class _Watchdog:
    """Ends tasks that stand still within ``with``, to about a second, by TimeoutError: to set a timer for each request
    would take a tenth of its time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._looking = False

    def __enter__(self) -> Self:
        self.goes_on()
        if not self._looking:
            self._look()
        return self

    def goes_on(self) -> None:
        """Tells that the task does not stand still."""
        self._began[_task()] = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        task = _task()
        del self._began[task]
        if task not in self._overdue:
            return
        self._overdue.discard(task)
        if kind is asyncio.CancelledError:
            task.uncancel()
            raise TimeoutError

    def _look(self) -> None:
        latest = time.monotonic() - self.seconds
        for task, began in self._began.items():
            if began < latest and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._looking = bool(self._began)
        if self._looking:
            asyncio.get_running_loop().call_later(1, self._look)


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for mypy: whoever awaits is in a task
    return task


@dataclass(slots=True)
class _Body:
    """What came of a request's body.

    Args:
        fault: raised to whoever reads it.
        ended: whether it came to its end, so that the connection can take another request.
    """

    blocks: deque[bytes] = field(default_factory=deque)
    size: int = 0
    fault: ServingError | None = None
    ended: bool = False

    def _read(self, size: int) -> bytes:
        """The next bytes, which are gone from here: who reads them joins them, and not the event loop."""
        taken = list[bytes]()
        while self.blocks and size > 0:
            block = self.blocks.popleft()
            if len(block) > size:
                self.blocks.appendleft(block[size:])
                block = block[:size]
            taken.append(block)
            size -= len(block)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def read(self) -> Callable[[int], bytes]:
        """Reads it."""
        fault = self.fault
        if fault is None:
            return self._read

        def refuse(size: int) -> bytes:
            raise fault.again()

        return refuse


#: Of a request that was refused by its head.
_NOT_WANTED = _Body(ended=True)


async def _watch(receive: Receive, caller: Caller) -> None:
    """Ends when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    caller.hang_up()


async def _answer_other(kind: str, receive: Receive, send: Send) -> None:
    """A websocket is refused; a server that begins or ends is told that nothing needs to be done."""
    if kind != "lifespan":
        await send({"type": "websocket.close"})
        return
    ended = False
    while not ended:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        ended = event == "lifespan.shutdown"


async def _send(response: Response, body: _Body, send: Send) -> None:
    head = _head(response, body)
    if response.status != HTTPStatus.NO_CONTENT:
        head.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    if len(response.body) <= PIECE:
        await send({"type": "http.response.body", "body": response.body})
        return
    whole = memoryview(response.body)
    for start in range(0, len(whole), PIECE):
        more = start + PIECE < len(whole)
        await send({"type": "http.response.body", "body": whole[start : start + PIECE], "more_body": more})


def _head(response: Response, body: _Body) -> list[tuple[bytes, bytes]]:
    head = [(_header_name(name), value.encode("latin-1")) for name, value in response.headers.items()]
    if not body.ended:
        head.append((b"connection", b"close"))
    return head


@lru_cache
def _header_name(name: str) -> bytes:
    return name.lower().encode()


def read_request(scope: Message) -> Request:
    """What an ASGI server was asked, but for the body; its path is what follows the application's own."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query = scope["query_string"]
    return Request(
        method=scope["method"],
        path=_path(scope),
        query=parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else [],
        headers=headers,
        read=_nothing,
        target_length=len(scope.get("raw_path") or scope["path"]) + (len(query) + 1 if query else 0),
    )


def _path(scope: Message) -> str:
    path: str = scope["path"]
    prefix = scope.get("root_path")
    if not prefix:
        return path
    # Some servers leave the prefix out, as it once was.
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path


def _nothing(size: int) -> bytes:
    return b""


def _timed_out(count: int, seconds: float) -> BodyTimeout:
    return BodyTimeout(f"The body stopped after {count} bytes, for {seconds:g} s. Send it again, in one go.")
