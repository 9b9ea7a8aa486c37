"""The gateway's calls to the families' functions."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from model_functions.caller import Caller
from model_functions.errors import DeadlineExceeded, FunctionUnreachable
from model_functions.http.message import Request, Response
from model_functions.http.streaming import EventStream, streamed
from model_functions.names import function_name
from model_functions.tracing import trace_of

#: Seconds to connect, and to wait for an answer: a cold function loads its model meanwhile.
TIMEOUT = urllib3.Timeout(connect=5, read=300)

#: Headers of a request that its function is to see; the gateway's own proof of who it is takes the place of a key.
_ASKED_WITH = (
    *("accept", "accept-encoding", "content-type", "content-encoding", "inference-header-content-length"),
    *("x-amzn-sagemaker-custom-attributes",),
)
#: What stands for a function's name.
PLACE = "{function}"

_LET_IN = (
    "Let the gateway in: grant its service account roles/run.invoker, and list it in the ACCESS_ACCOUNTS of a function "
    "with ACCESS=keys."
)

#: Headers of a function's answer that are the caller's too.
_PASSED_ON = (
    *("Content-Type", "Content-Encoding", "Vary", "X-Error-Code", "Retry-After", "Retry-After-Ms", "X-Should-Retry"),
    "Allow",
    *("Server-Timing", "X-Model-Revision", "X-Model-Engine", "X-Model-Precision", "X-Model-Stale"),
    "Inference-Header-Content-Length",
    *("X-Error-Message", "X-Vertex-AI-Deployed-Model-Id", "X-Vertex-AI-Model", "X-Vertex-AI-Model-Version-Id"),
)


class FunctionClient:
    """Asks the function of a family over HTTP.

    Args:
        url: what stands before ``/<function-name>``, or with ``{function}`` where the name stands.
        send_tokens: prove who we are by an ID token of the metadata server, as a private function demands.
    """

    def __init__(self, url: str, *, send_tokens: bool) -> None:
        self.url = url
        self._pool = _connections(url)
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        self._tokens = IdTokens() if send_tokens else None

    def ask(self, family: str, request: Request, body: bytes) -> Response:
        """The function's answer to the caller's request, whatever its status.

        Raises FunctionUnreachable, DeadlineExceeded.
        """
        name = function_name(family)
        url = function_url(self.url, name)
        headers = {header: request.headers[header] for header in _ASKED_WITH if header in request.headers}
        # Else the client would name what it could unpack itself.
        headers |= {"X-Request-Id": request.id, "Accept-Encoding": headers.pop("accept-encoding", "identity")}
        trace = request.trace or trace_of(request.headers)
        if trace is not None:
            headers |= trace.headers()
        remaining = request.caller.remaining()
        if remaining < math.inf:
            headers["X-Request-Timeout-Ms"] = str(max(1, round(remaining * 1000)))
        headers |= _passed_key(request) if self._tokens is None else _proof(self._tokens.token(url))
        _waiting.caller = request.caller
        try:
            answer = self._answer(request, url + _target(request), headers, body)
            _check_ours(name, answer, request)
            if self._tokens is not None and answer.status in (401, 403):
                # To the gateway, and not to its caller, who has been let in here.
                answer.close()
                raise FunctionUnreachable(f"The function {name} does not let the gateway in. {_LET_IN}", retry_after=2)
            if "Content-Length" not in answer.headers:
                # Else it would be noticed with the next piece only that nobody reads on.
                request.caller.when_gone(lambda: _interrupt(answer))
                return _passed_on_in_pieces(name, answer, request)
            answer.read(cache_content=True)
        except urllib3.exceptions.ReadTimeoutError as exc:
            raise DeadlineExceeded(f"The function {name} did not answer within {TIMEOUT.read_timeout} s.") from exc
        except urllib3.exceptions.HTTPError as exc:
            request.caller.check()
            raise FunctionUnreachable(
                f"The function {name} cannot be reached. Is it deployed, and FUNCTIONS_URL right?", retry_after=2
            ) from exc
        return Response(answer.status, answer.data, _headers(answer))

    def _answer(self, request: Request, url: str, headers: Mapping[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        """Asks again, by another connection, where one that was kept has ended meanwhile."""
        while True:
            try:
                return self._pool.request(
                    request.method,
                    url,
                    headers=headers,
                    body=body or None,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
            except urllib3.exceptions.ProtocolError as exc:
                if not isinstance(exc.args[-1], _EndedMeanwhile):
                    raise
                request.caller.check()


def function_url(functions_url: str, name: str) -> str:
    """A function's URL, by FUNCTIONS_URL: hosts of its own, as Cloud Run has them, hold the name elsewhere."""
    return functions_url.replace(PLACE, name) if PLACE in functions_url else f"{functions_url}/{name}"


def _connections(url: str) -> urllib3.PoolManager:
    """By the proxy of HTTPS_PROXY where a network lets nobody out but by it; http: is of this machine, as emulated."""
    options: dict[str, Any] = {"maxsize": 64, "retries": False, "timeout": TIMEOUT}
    proxy = getproxies().get("https")
    if not url.startswith("https:") or not proxy or proxy_bypass(urlsplit(url).netloc):
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(proxy, **options)


#: Whose answer each thread waits for.
_waiting = threading.local()


class _EndedMeanwhile(ConnectionError):
    """The end of a connection that was kept crossed the next request: nobody answers it, and hardly anybody read it."""


class _Connection(urllib3.connection.HTTPConnection):
    """Ends when the caller hangs up before the answer has begun, so that the function learns it."""

    has_answered = False

    def getresponse(self) -> Any:
        caller: Caller = _waiting.caller
        caller.when_gone(lambda: _shut(self))
        try:
            response = super().getresponse()
        except ConnectionError as exc:
            raise (_EndedMeanwhile() if self.has_answered else exc) from exc
        finally:
            caller.when_gone(None)
        self.has_answered = True
        return response


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _shut(connection: Any) -> None:
    # It may have been answered and given back at this moment.
    with contextlib.suppress(AttributeError, OSError):
        connection.sock.shutdown(socket.SHUT_RDWR)


class IdTokens:
    """ID tokens of the instance's service account, one an audience, renewed before they end."""

    def __init__(self) -> None:
        self._credentials: dict[str, Any] = {}
        self._lock = threading.Lock()

    def token(self, audience: str) -> str:
        """Raises FunctionUnreachable when the metadata server gives none."""
        # Imported here: off Google Cloud the gateway sends none.
        import google.auth.exceptions
        from google.auth.transport.requests import Request as TokenRequest
        from google.oauth2.id_token import fetch_id_token_credentials

        with self._lock:
            try:
                credentials = self._credentials.get(audience)
                if credentials is None:
                    credentials = fetch_id_token_credentials(audience, request=TokenRequest())
                    self._credentials[audience] = credentials
                if not credentials.valid:
                    credentials.refresh(TokenRequest())
            except google.auth.exceptions.GoogleAuthError as exc:
                raise FunctionUnreachable(
                    "The metadata server gives the gateway no ID token. Does the gateway have a service account?",
                    retry_after=5,
                ) from exc
            token: str = credentials.token
            return token


def _target(request: Request) -> str:
    query = urlencode(request.query)
    return quote(request.path, safe="/:") + (f"?{query}" if query else "")


def _proof(token: str) -> dict[str, str]:
    """Who the gateway is. Where Cloud Run looks at the one, it leaves the other whole for the function to verify."""
    return {"Authorization": f"Bearer {token}", "X-Serverless-Authorization": f"Bearer {token}"}


def _passed_key(request: Request) -> dict[str, str]:
    """The caller's own key, where the gateway has nothing to prove itself by."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    is_key = scheme.lower() == "bearer" and bearer.startswith("mf_")
    key = request.headers.get("x-api-key") or (bearer if is_key else "")
    return {"X-Api-Key": key} if key else {}


def _check_ours(name: str, answer: urllib3.BaseHTTPResponse, request: Request) -> None:
    """Raises FunctionUnreachable where what stands before our function speaks: its page would help nobody."""
    if answer.headers.get("X-Request-Id") == request.id:
        return
    hint = {
        401: _LET_IN,
        403: _LET_IN,
        404: "Is it deployed, and FUNCTIONS_URL right?",
    }.get(answer.status, "Try again.")
    answer.close()
    raise FunctionUnreachable(f"The function {name} cannot be reached: status {answer.status}. {hint}", retry_after=2)


def _passed_on_in_pieces(name: str, answer: urllib3.BaseHTTPResponse, request: Request) -> Response:
    def pieces() -> Iterator[bytes]:
        try:
            yield from answer.stream(decode_content=False)
        except urllib3.exceptions.HTTPError as exc:
            raise FunctionUnreachable(f"The function {name} broke off. Ask again.", retry_after=2) from exc

    held = ExitStack()
    # Not given back to the pool: the function learns from the end of the connection that nobody reads on.
    held.callback(answer.close)
    headers = _headers(answer)
    return streamed(EventStream(pieces(), held, request, headers.get("Content-Type", "")), headers)


def _interrupt(answer: urllib3.BaseHTTPResponse) -> None:
    """Ends the wait of whoever reads the answer, in another thread."""
    # It may have been read to its end and closed at this moment.
    with contextlib.suppress(ValueError, RuntimeError, OSError):
        answer.shutdown()


def _headers(answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {header: answer.headers[header] for header in _PASSED_ON if header in answer.headers}
