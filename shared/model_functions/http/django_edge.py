"""The Django edge, for URLs of a site, under WSGI and ASGI; the only module that imports django."""

from typing import Any, Self

from asgiref.sync import sync_to_async
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from model_functions.http import asgi_edge, wsgi_edge
from model_functions.http.message import Chunks, Handle, Request, finished


def urls(handle: Handle) -> list[Any]:
    """Patterns to include: what follows their prefix is a path of the function's."""

    def view(request: HttpRequest, path: str) -> HttpResponseBase:
        asked = _request(request, f"/{path}")
        found = finished(handle(asked))
        wsgi_edge.drop(asked.read)
        made: HttpResponseBase
        if found.chunks is None:
            made = HttpResponse(found.body, status=found.status, headers=found.headers)
        else:
            # Django closes the chunks when the server does, whether all were sent or not.
            chunks = found.chunks if isinstance(request, WSGIRequest) else _AsyncChunks(found.chunks)
            made = StreamingHttpResponse(chunks, status=found.status, headers=found.headers)
        if "Content-Type" not in found.headers:
            del made["Content-Type"]
        return made

    # It knows no cookies, so there is nothing that another site could make a browser do in somebody's name.
    return [re_path(r"^(?P<path>.*)$", csrf_exempt(view))]


class _AsyncChunks:
    """For Django under ASGI, which would collect what is not asynchronous before it sends any of it."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.close = chunks.close

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        # Not in the one thread that Django has for what must not run side by side.
        chunk: bytes | None = await sync_to_async(next, thread_sensitive=False)(self._chunks, None)
        if chunk is None:
            raise StopAsyncIteration
        return chunk


def _request(request: HttpRequest, path: str) -> Request:
    if isinstance(request, WSGIRequest):
        made = wsgi_edge.read_request(request.environ)
    else:
        made = asgi_edge.read_request(request.scope)
    made.path = path
    # Django takes what comes in chunks to be empty under WSGI; else the site's middleware may have read it already.
    if not isinstance(request, WSGIRequest) or "transfer-encoding" not in made.headers:
        made.read = request.read
    return made
