"""The WSGI edge: plain WSGI, so it imports no framework; what mounts into a site, and what Flask's stands on."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl

from model_functions.http.body import BLOCK
from model_functions.http.message import Handle, Request, finished, to_the_slash

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def wsgi_edge(handle: Handle) -> Application:
    """A WSGI application. Its server closes the chunks of an answer, whether all were sent or not."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = read_request(environ)
        response = finished(handle(request)) if request.path else to_the_slash(environ["SCRIPT_NAME"])
        drop(request.read)
        headers = list(response.headers.items())
        if response.chunks is None and response.status != 204:
            headers.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status} {responses.get(response.status, 'Unknown')}", headers)
        return [response.body] if response.chunks is None else response.chunks

    return application


def drop(read: Callable[[int], bytes]) -> None:
    """Reads what is left of the body of a request that was refused: a server that hangs up before takes the answer with
    it.
    """
    with suppress(Exception):
        while read(BLOCK):
            pass


def read_request(environ: Environ, read: Callable[[int], bytes] | None = None) -> Request:
    """What a WSGI server was asked; its path is what follows the application's own.

    Args:
        read: of the body, where it has a reader already.
    """
    path = _text(environ.get("PATH_INFO", ""))
    query = _text(environ.get("QUERY_STRING", ""))
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    # gunicorn tells the target as it was sent.
    target = environ.get("RAW_URI") or f"{path}?{query}"
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path or ("" if environ.get("SCRIPT_NAME") else "/"),
        query=parse_qsl(query, keep_blank_values=True) if query else [],
        headers=headers,
        read=read or _reader(environ),
        target_length=len(target),
    )


def _reader(environ: Environ) -> Callable[[int], bytes]:
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    if environ.get("wsgi.input_terminated"):
        return read
    # Such a server's input goes on with the connection: behind the body it would wait for the next request.
    length = environ.get("CONTENT_LENGTH") or "0"
    left = int(length) if length.isdecimal() else 0

    def read_what_is_left(size: int) -> bytes:
        nonlocal left
        block = read(min(size, left)) if left else b""
        left -= len(block)
        return block

    return read_what_is_left


def _text(native: str) -> str:
    """WSGI passes bytes on as if they were Latin-1."""
    return native.encode("latin-1").decode(errors="replace")
