"""The one address: hands each request to the function that its path names, the rest to the gateway."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import TypeVar

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from deploy.emulator.function import EmulatedFunction
from model_functions.errors import FunctionUnreachable, ServingError
from model_functions.http.errors import render

T = TypeVar("T")

GATEWAY = "gateway"

#: RFC 9110, 7.6.1: these speak of one connection, not of the message.
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

# A cold function may load for long, and a stream may pause: the function's own limits hold, not ours.
_TIMEOUT = httpx.Timeout(None, connect=10)

#: Seconds for which a connection is kept, well below what the functions' servers keep it (gunicorn 2, uvicorn 5): a
#: request must not meet the end of its connection.
_KEPT_S = 1


class Proxy:
    """An ASGI application over the functions.

    Args:
        functions: by function name, the gateway among them.
    """

    def __init__(self, functions: Mapping[str, EmulatedFunction]) -> None:
        self.functions = functions
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=_KEPT_S)
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        async with AsyncExitStack() as stack:
            try:
                response = await self._forward(request, stack)
            except ServingError as error:
                response = _rendered(error)
            except ClientDisconnect:
                return
            await response(scope, receive, send)

    async def close(self) -> None:
        await self._client.aclose()
        await asyncio.gather(*(function.stop() for function in self.functions.values()))

    async def _forward(self, request: Request, stack: AsyncExitStack) -> Response:
        function, target = self._addressed(request)
        address = await stack.enter_async_context(function.serving())
        read = asyncio.Event()
        content = _content(request, read)
        # As it came: the client would tidy ``..`` up, and the function would see another path than on Google Cloud.
        as_sent = {"target": target.encode("latin-1")}
        outgoing = self._client.build_request(
            request.method, address, headers=_headers(request), content=content, extensions=as_sent
        )
        try:
            answer = await _unless_gone(self._client.send(outgoing, stream=True), request, read)
        except httpx.TransportError as exc:
            raise FunctionUnreachable(
                f"The function {function.name} broke off. Its lines in the emulator's output say why.", retry_after=1
            ) from exc
        stack.push_async_callback(answer.aclose)
        response = StreamingResponse(answer.aiter_raw(), answer.status_code)
        response.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.decode().lower() not in _HOP_BY_HOP
        ]
        return response

    def _addressed(self, request: Request) -> tuple[EmulatedFunction, str]:
        """The function, and the path and query that it sees: as on Google Cloud, without its own name."""
        raw_path = request.scope["raw_path"].decode("latin-1")
        name, _, rest = raw_path.lstrip("/").partition("/")
        query = request.scope["query_string"].decode("latin-1")
        suffix = f"?{query}" if query else ""
        if name in self.functions and not raw_path.startswith("//"):
            return self.functions[name], f"/{rest}{suffix}"
        return self.functions[GATEWAY], raw_path + suffix


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in request.headers.raw if name.decode() not in _HOP_BY_HOP]
    client = request.client.host if request.client else ""
    return [*kept, (b"x-forwarded-for", client.encode()), (b"x-forwarded-proto", b"http")]


def _content(request: Request, read: asyncio.Event) -> AsyncIterator[bytes] | None:
    """The body as it comes.

    Args:
        read: set when it has come whole.
    """
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in request.stream():
            yield piece
        read.set()

    if has_body:
        return pieces()
    read.set()
    return None


async def _unless_gone(sending: Coroutine[None, None, T], request: Request, read: asyncio.Event) -> T:
    """Its result. Ends it and raises ClientDisconnect when the caller hangs up before: the function learns it so."""

    async def gone() -> None:
        await read.wait()  # until then the body's reader learns it
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = asyncio.ensure_future(sending), asyncio.ensure_future(gone())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _rendered(error: ServingError) -> Response:
    answer = render(error, request_id="emulator")
    return Response(answer.body, answer.status, answer.headers)
