"""The gateway's calls to the families' functions."""

import contextlib
import json
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import urllib3

from model_functions.errors import DeadlineExceeded, FunctionUnreachable
from model_functions.http.message import EVENTS, JSON, Request, Response
from model_functions.http.streaming import EventStream, streamed
from model_functions.names import function_name

#: Seconds to connect, and to wait for an answer: a cold function loads its model meanwhile.
TIMEOUT = urllib3.Timeout(connect=5, read=300)

#: Headers of a function's answer that are the caller's too.
_PASSED_ON = (
    *("Content-Type", "X-Error-Code", "Retry-After", "Allow", "Server-Timing"),
    *("X-Model-Revision", "X-Model-Engine", "X-Model-Precision"),
)


class FunctionClient:
    """Asks the function of a family over HTTP.

    Args:
        url: what stands before ``/<function-name>``.
        send_tokens: prove who we are by an ID token of the metadata server, as a private function demands.
    """

    def __init__(self, url: str, *, send_tokens: bool) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=TIMEOUT)
        self._tokens = IdTokens() if send_tokens else None

    def ask(self, family: str, method: str, target: str, body: Any, request: Request) -> Response:
        """The function's answer to the caller's request, whatever its status.

        Raises FunctionUnreachable, DeadlineExceeded.

        Args:
            body: the caller's own if it is bytes; else it is sent as JSON; None: there is none.
        """
        name = function_name(family)
        url = f"{self.url}/{name}"
        headers = {"Accept": EVENTS if request.accepts_events() else JSON, "X-Request-Id": request.id}
        remaining = request.caller.remaining()
        if remaining < math.inf:
            headers["X-Request-Timeout-Ms"] = str(max(1, round(remaining * 1000)))
        if self._tokens is not None:
            headers["Authorization"] = f"Bearer {self._tokens.token(url)}"
        data = None
        if body is not None:
            own = isinstance(body, bytes)
            headers["Content-Type"] = request.headers["content-type"] if own else JSON
            data = body if own else json.dumps(body, ensure_ascii=False).encode()
        try:
            answer = self._pool.request(
                method, url + target, headers=headers, body=data, redirect=False, preload_content=False
            )
            if answer.headers.get("Content-Type", "").startswith(EVENTS):
                # Else it would be noticed with the next piece only that nobody reads on.
                request.caller.when_gone(lambda: _interrupt(answer))
                return _passed_on_in_pieces(name, answer, request.id)
            answer.read(cache_content=True)
        except urllib3.exceptions.ReadTimeoutError as exc:
            raise DeadlineExceeded(f"The function {name} did not answer within {TIMEOUT.read_timeout} s.") from exc
        except urllib3.exceptions.HTTPError as exc:
            raise FunctionUnreachable(
                f"The function {name} cannot be reached. Is it deployed, and FUNCTIONS_URL right?", retry_after=2
            ) from exc
        return _passed_on(name, answer)


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


def _passed_on(name: str, answer: urllib3.BaseHTTPResponse) -> Response:
    if not answer.headers.get("Content-Type", "").startswith(JSON):
        # Not our function speaks but what stands before it: its page would help nobody.
        hint = {
            401: "Let the gateway in: grant its service account roles/run.invoker.",
            403: "Let the gateway in: grant its service account roles/run.invoker.",
            404: "Is it deployed, and FUNCTIONS_URL right?",
        }.get(answer.status, "Try again.")
        raise FunctionUnreachable(
            f"The function {name} cannot be reached: status {answer.status}. {hint}", retry_after=2
        )
    return Response(answer.status, answer.data, _headers(answer))


def _passed_on_in_pieces(name: str, answer: urllib3.BaseHTTPResponse, request_id: str) -> Response:
    def pieces() -> Iterator[bytes]:
        try:
            yield from answer.stream(decode_content=False)
        except urllib3.exceptions.HTTPError as exc:
            raise FunctionUnreachable(f"The function {name} broke off. Ask again.", retry_after=2) from exc

    held = ExitStack()
    # Not given back to the pool: the function learns from the end of the connection that nobody reads on.
    held.callback(answer.close)
    return streamed(EventStream(pieces(), held, request_id), _headers(answer))


def _interrupt(answer: urllib3.BaseHTTPResponse) -> None:
    """Ends the wait of whoever reads the answer, in another thread."""
    # It may have been read to its end and closed at this moment.
    with contextlib.suppress(ValueError, RuntimeError, OSError):
        answer.shutdown()


def _headers(answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {header: answer.headers[header] for header in _PASSED_ON if header in answer.headers}
