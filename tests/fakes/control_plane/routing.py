"""What the APIs share: requests, answers, Google's form of errors, and routes that say which permission they need."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

#: Google's word and number for a status, where the error names no other.
WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
CODES = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}


class ApiError(Exception):
    """An answer with an error status, in Google's form."""

    def __init__(self, status: int, message: str, word: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.word = word or WORDS.get(status, "UNKNOWN")

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.status, "message": str(self), "status": self.word}}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """One request to an API, and what it was answered."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    caller: str = ""
    """The account that the token speaks for."""
    status: int = 0
    operation_fault: Any = None
    """What is to go wrong with the operation that this request starts."""

    @property
    def is_change(self) -> bool:
        asks = (":getIamPolicy", ":generateUploadUrl", ":testIamPermissions", "/entries:list", ":generateIdToken")
        return self.method != "GET" and not self.path.endswith(asks)

    @property
    def region(self) -> str:
        """The one in front of the host's name, as Cloud Run's API has it."""
        match = re.match(r"([a-z]+-[a-z]+\d+)-", self.host)
        return match[1] if match else ""

    def json(self, *allowed: str) -> dict[str, Any]:
        """The body, of whose fields there are no others than these; any where none is named."""
        try:
            body = json.loads(self.body or b"{}")
        except ValueError:
            raise ApiError(400, "Invalid JSON payload received.") from None
        if not isinstance(body, dict):
            raise ApiError(400, "Invalid JSON payload received.")
        if allowed:
            only(body, allowed)
        return body

    def mask(self) -> list[str]:
        """What an update names, in camel case."""
        text = self.query.get("updateMask", "")
        return [camel(path) for path in text.split(",") if path]


def only(body: Mapping[str, Any], allowed: Iterable[str], where: str = "") -> None:
    unknown = sorted(set(body) - set(allowed))
    if unknown:
        place = f" at '{where}'" if where else ""
        raise ApiError(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}"{place}: Cannot find field.')


def required(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not body.get(name):
            raise ApiError(400, f"Required field {name} is missing.")


def camel(path: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), path)


def page(name: str, items: Iterable[Any]) -> dict[str, Any]:
    """A list's answer; a field without entries is left out, as Google does."""
    found = list(items)
    return {name: found} if found else {}


Handler = TypeVar("Handler", bound=Callable[..., Any])


def route(method: str, template: str, permission: str = "") -> Callable[[Handler], Handler]:
    """``{name}`` in the template is a step of the path, ``{name*}`` several.

    Args:
        permission: what the caller needs on the project or on something nearer.
    """

    def mark(handler: Handler) -> Handler:
        routes = handler.__dict__.setdefault("routes", [])
        routes.append((method, _pattern(template), permission))
        return handler

    return mark


def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.sub(r"\\{(\w+)(\\\*)?\\}", lambda match: r"(.+)" if match[2] else r"([^/:]+)", re.escape(template))
    return re.compile(pattern)


@dataclass
class Route:
    method: str
    pattern: re.Pattern[str]
    permission: str
    handler: Callable[..., Any]


class Api:
    """One of Google's APIs: its methods marked by ``route`` answer."""

    #: The first step of the path by which gcloud reaches it, after its own name for the API.
    name: str
    #: Whether it is asked without an access token.
    is_open = False

    def __init__(self) -> None:
        self.routes = [
            Route(method, pattern, permission, getattr(self, attribute))
            for attribute in dir(type(self))
            for method, pattern, permission in getattr(getattr(type(self), attribute), "routes", [])
        ]

    def find(self, method: str, path: str) -> tuple[Route, list[str]]:
        """The route and the values of its template. Raises ApiError where there is none."""
        for known in self.routes:
            match = known.pattern.fullmatch(path)
            if match and known.method == method:
                return known, [unquote(value) for value in match.groups()]
        raise ApiError(404, f"The fake {self.name} knows no {method} {path}")


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})
