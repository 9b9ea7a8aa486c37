"""What every request passes: the route table, the guard, the request id, the error table, the log line, the metrics."""

import logging
import math
import random
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Self

from model_functions import logs, tracing
from model_functions.access import Guard
from model_functions.draining import DRAIN, Drain
from model_functions.errors import (
    HeadersTooLarge,
    InvalidInput,
    MethodNotAllowed,
    RouteNotFound,
    ServingError,
    UriTooLong,
)
from model_functions.http import observed, permissions
from model_functions.http.body import check_declared, check_framing
from model_functions.http.errors import refuse
from model_functions.http.message import BODY, Chunks, Handler, Request, Response, Steps, finished
from model_functions.http.observed import Observer
from model_functions.http.origins import Origins
from model_functions.http.room import SMALL, Room
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics

#: Characters of path and query; longer data belongs into a POST.
MAX_TARGET_LENGTH = 8 * 1024

#: Headers of a request, and characters of all of them: what gunicorn lets through, and Google's front end.
MAX_HEADERS = 100
MAX_HEADERS_LENGTH = 64 * 1024

#: Milliseconds that the caller waits for its answer.
TIMEOUT_HEADER = "x-request-timeout-ms"
MAX_TIMEOUT_MS = 3_600_000

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger(__name__)


class FrontDoor:
    """Answers every request with a Response, whatever happens behind it.

    Args:
        timeout_s: after which nobody waits for an answer any more.
        max_body_bytes: beyond which a body that says its length is not read.
        guard: None lets everybody in.
        needs: what a request demands of who asks, one of settings.ACTIONS; None: nothing.
        drain: the process's.
        origins: the pages of other sites that may ask; None: none, and nothing is said to them.
        room: of bodies; None: as much as they take.
        family: whose requests they are, for the log.
    """

    def __init__(
        self,
        routes: Routes,
        metrics: Metrics,
        timeout_s: float = math.inf,
        max_body_bytes: int = sys.maxsize,
        guard: Guard | None = None,
        needs: Callable[[Request], str | None] = lambda request: "predict",
        drain: Drain = DRAIN,
        origins: Origins | None = None,
        room: Room | None = None,
        family: str | None = None,
    ) -> None:
        self.routes = routes
        self.metrics = metrics
        self.timeout_s = timeout_s
        self.max_body_bytes = max_body_bytes
        self.guard = guard
        self.needs = needs
        self.drain = drain
        self.origins = origins
        self.room = room or Room(lambda: 2**40)
        self._observer = Observer(log, metrics, family)

    def handle(self, request: Request) -> Response:
        """The answer; waits for it. Raises nothing."""
        return finished(self.steps(request))

    def steps(self, request: Request) -> Steps:
        """Raise nothing."""
        request.id = _request_id(request)
        if tracing.exported():
            request.trace = tracing.begun(request.headers)
        if not observed.on_loop():
            logs.enter(request.headers, request.trace)
        self.drain.running.add(request.caller)
        try:
            handler = yield from self._admitted(request)
            yield BODY
            found = handler(request)
            response = found if isinstance(found, Response) else (yield from found)
        except Exception as exc:  # noqa: BLE001 - told to who asked
            response = _failed(request, exc)
        except GeneratorExit:
            self._left(request)
            raise
        if self.origins is not None:
            self.origins.mark(request, response)
        timing = request.phases.timing()
        headers = {
            "X-Request-Id": request.id,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Server-Timing": timing,
            **response.headers,
        }
        status, chunks = response.status, response.chunks
        if chunks is not None:
            self.metrics.streams.change(1)
            return Response(status, b"", headers, _Ending(chunks, lambda: self._end_stream(request, status, headers)))
        self._left(request)
        self._observer.ended(request, status, headers, timing)
        return Response(status, b"" if request.method == "HEAD" else response.body, headers)

    def _admitted(self, request: Request) -> Generator[None, None, Handler]:
        """What answers the request. Raises ServingError for what its head tells that nothing will."""
        handler = self._found(request)
        if request.route not in permissions.LIVENESS:
            self.drain.check()
        if self.guard is not None and handler != self._methods:
            yield from self._let_in(request, self.guard)
        check_framing(request)
        declared = check_declared(request, self.max_body_bytes)
        # Behind what no coming back would change.
        request.identity.take()
        if declared > SMALL:
            self.room.take(request, declared)
        elif declared < 0:
            request.room = self.room
        return handler

    def _left(self, request: Request) -> None:
        """Gives back what the request held here."""
        self.drain.running.discard(request.caller)
        if request.held:
            self.room.give(request)

    def _end_stream(self, request: Request, status: int, headers: Mapping[str, str]) -> None:
        self._left(request)
        self.metrics.streams.change(-1)
        self._observer.ended(request, status, headers, request.phases.timing())

    def _found(self, request: Request) -> Handler:
        """What answers the request. Raises ServingError for what nothing does."""
        route = self.routes.find(request)
        request.refuse, handlers = route.refuse, route.handlers
        if not handlers:
            raise RouteNotFound(f"There is no {request.path[:60]!r} here. GET /docs lists what there is.")
        request.route, request.place = route.template, route.place
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if request.method == "OPTIONS" and (handler is None or (self.origins and self.origins.asks(request))):
            return self._methods
        if not callable(handler) or (request.method == "HEAD" and request.path == "/predict"):
            raise method_not_allowed(request, handlers)
        if request.target_length > MAX_TARGET_LENGTH:
            raise UriTooLong(
                f"The URL has {request.target_length} characters; the limit is {MAX_TARGET_LENGTH}. POST the data."
            )
        _check_headers(request)
        self._set_deadline(request)
        return handler

    def _methods(self, request: Request) -> Response:
        """For ``OPTIONS``, to everybody."""
        methods = _allowed(self.routes.find(request).handlers)
        if self.origins is not None and self.origins.asks(request):
            return self.origins.answer(request, methods)
        return Response(204, headers={"Allow": methods})

    def _let_in(self, request: Request, guard: Guard) -> Generator[None, None, None]:
        """Finds out who asks. Raises what the guard does."""
        needed = self.needs(request)
        if needed is None:
            return
        if not guard.is_fresh(request.headers):
            yield None
        request.identity = guard.admit(request.headers, needed)

    def _set_deadline(self, request: Request) -> None:
        request.caller.shorten(self.timeout_s)
        asked = request.headers.get(TIMEOUT_HEADER)
        if asked is not None:
            request.caller.shorten(_milliseconds(asked) / 1000)


def _check_headers(request: Request) -> None:
    """uvicorn takes as many headers as somebody sends, and of any length."""
    headers = request.headers
    if len(headers) > MAX_HEADERS or len("".join(headers.values())) > MAX_HEADERS_LENGTH:
        raise HeadersTooLarge(
            f"The request's {len(headers)} headers are more than {MAX_HEADERS}, or than {MAX_HEADERS_LENGTH} "
            "characters. Send fewer, and the data in the body."
        )


def _failed(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, ServingError):
        logs.enter(request.headers, request.trace)
        log.error("request failed", exc_info=exc, extra={"fields": {"request_id": request.id}})
        exc = ServingError("Something went wrong here. The function's log has it under this request id.")
    if exc.status >= 500:
        # What is below may quote the input.
        request.trouble = exc.message
    return (request.refuse or refuse)(exc, request)


class _Ending:
    """Chunks, with something to do once they have been closed."""

    def __init__(self, chunks: Chunks, end: Callable[[], None]) -> None:
        self._chunks = chunks
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        end, self._end = self._end, None
        if end is None:
            return
        try:
            self._chunks.close()
        finally:
            end()


def method_not_allowed(request: Request, methods: Iterable[str]) -> MethodNotAllowed:
    allowed = _allowed(methods)
    return MethodNotAllowed(
        f"{request.path} does not take {request.method[:10]}. Use {allowed}.", headers={"Allow": allowed}
    )


def _allowed(methods: Iterable[str]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS"}))


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    # Nobody gains by guessing it, so that the kernel need not be asked.
    return f"{random.getrandbits(64):016x}"


def _milliseconds(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 7 and 1 <= int(text) <= MAX_TIMEOUT_MS:
        return int(text)
    raise InvalidInput(
        "X-Request-Timeout-Ms",
        f'The header X-Request-Timeout-Ms is "{text[:20]}". Send an integer from 1 to {MAX_TIMEOUT_MS}.',
    )
