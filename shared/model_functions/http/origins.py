"""Which pages of other sites may ask: CORS, by a list of exact origins.

There is no mode with credentials: a page proves itself by a key or a token that it sends, never by what the browser
adds.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from model_functions.http.message import Response

if TYPE_CHECKING:
    from model_functions.http.message import Request

#: Headers that a page may send: ours, those of the protocols, and those of the clients that run in browsers.
ASKED_WITH = (
    *(
        "Content-Type",
        "X-Api-Key",
        "Authorization",
        "X-Request-Id",
        "X-Request-Timeout-Ms",
        "Traceparent",
        "Tracestate",
    ),
    *("Content-Encoding", "Inference-Header-Content-Length", "X-Amzn-SageMaker-Custom-Attributes"),
    *("OpenAI-Organization", "OpenAI-Project", "Idempotency-Key", "X-Stainless-Arch", "X-Stainless-Helper-Method"),
    *("X-Stainless-Lang", "X-Stainless-OS", "X-Stainless-Package-Version", "X-Stainless-Retry-Count"),
    *("X-Stainless-Runtime", "X-Stainless-Runtime-Version", "X-Stainless-Timeout"),
    *("X-Use-Cache", "X-Wait-For-Model"),
)
#: Headers of an answer that a page may read.
EXPOSED = (
    *("X-Request-Id", "X-Error-Code", "X-Error-Message", "X-Model-Revision", "X-Model-Engine", "X-Model-Precision"),
    *("X-Model-Stale", "Server-Timing", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "Allow"),
    *("WWW-Authenticate", "Inference-Header-Content-Length", "X-Vertex-AI-Deployed-Model-Id", "X-Vertex-AI-Model"),
    "X-Vertex-AI-Model-Version-Id",
)
#: Seconds for which a browser need not ask again whether it may.
MAX_AGE_S = 600


class Origins:
    """The pages that may ask.

    Args:
        allowed: origins as a browser writes them, as ``https://example.com``.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def asks(self, request: "Request") -> bool:
        """Whether a browser asks whether it may ask."""
        headers = request.headers
        return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers

    def answer(self, request: "Request", methods: str) -> Response:
        """To such a question; to an origin that is not listed it says nothing."""
        if request.headers["origin"] not in self._allowed:
            return Response(204)
        told = {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": ", ".join(ASKED_WITH),
            "Access-Control-Max-Age": str(MAX_AGE_S),
        }
        return Response(204, headers=told)

    def mark(self, request: "Request", response: Response) -> None:
        """Lets the page read the answer, be it an error, if it may ask."""
        # Whatever keeps answers must not give one that was for another origin.
        varies = response.headers.get("Vary")
        response.headers["Vary"] = "Origin" if varies is None else f"Origin, {varies}"
        origin = request.headers.get("origin")
        if origin in self._allowed:
            response.headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": ", ".join(EXPOSED),
            }
