"""Google's front end: the addresses of services and tags, who may call them, and where a request goes."""

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.forwarding import Forwarded, forward
from tests.fakes.control_plane.instances import NotStarted
from tests.fakes.control_plane.traffic import drawn, tagged
from tests.fakes.http_server import FakeHandler, FakeHttpServer
from tests.fakes.id_tokens import checked_by_the_platform

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

LARGEST_BYTES = 32 * 1024 * 1024
_PAGES = {
    400: "Your client has issued a malformed or illegal request. That’s all we know.",
    403: "Your client does not have permission to get URL <code>{path}</code> from this server. That’s all we know.",
    404: "The requested URL <code>{path}</code> was not found on this server. That’s all we know.",
    413: "Your client issued a request that was too large. That’s all we know.",
    429: "Rate exceeded.",
    503: "The service you requested is not available yet.",
    504: "upstream request timeout",
}
_TITLES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large"}


@dataclass(frozen=True)
class Place:
    """What a host's name stands for.

    Args:
        is_functions: the first step of the path is the function's name.
    """

    location: str
    service: str = ""
    tag: str = ""
    is_functions: bool = False


class FrontEnd:
    """Every host has a port of its own here; Google's own names of it count where somebody asks for them through us."""

    def __init__(self, plane: "ControlPlane") -> None:
        self.plane = plane
        self.chance = random.Random(20)
        self._places: dict[str, Place] = {}
        self._servers: dict[str, FakeHttpServer] = {}
        self._lock = threading.RLock()

    # Addresses.

    def function_url(self, location: str, name: str) -> str:
        host = f"{location}-{self.plane.project}.cloudfunctions.net"
        return f"{self._url(host, Place(location, is_functions=True))}/{name}"

    def service_url(self, location: str, name: str) -> str:
        return self._url(f"{name}-{self.plane.number}.{location}.run.app", Place(location, name))

    def tag_url(self, location: str, name: str, tag: str) -> str:
        return self._url(f"{tag}---{name}-{self.plane.number}.{location}.run.app", Place(location, name, tag))

    def local(self, url: str) -> str:
        """The address on this machine of one that Google would have given."""
        rest = url.partition("://")[2]
        host, slash, path = rest.partition("/")
        return f"{self._urls()[host]}{slash}{path}" if host in self._places else url

    def knows(self, host: str) -> bool:
        return host in self._places

    def audiences(self, location: str, name: str) -> set[str]:
        """For whom an ID token may be: the service's addresses, not those of its tags."""
        google = (
            f"https://{location}-{self.plane.project}.cloudfunctions.net/{name}",
            f"https://{name}-{self.plane.number}.{location}.run.app",
        )
        return {*google, self.function_url(location, name), self.service_url(location, name)}

    def stop(self) -> None:
        for server in self._servers.values():
            server.__exit__(None, None, None)

    def _url(self, host: str, place: Place) -> str:
        with self._lock:
            if host not in self._places:
                server = FakeHttpServer(self._handler(host))
                server.__enter__()
                self._places[host], self._servers[host] = place, server
            return f"http://{self._servers[host].address}"

    def _urls(self) -> dict[str, str]:
        return {host: f"http://{server.address}" for host, server in self._servers.items()}

    # Requests.

    def _handler(self, host: str) -> type[FakeHandler]:
        front_end = self

        class Handler(FakeHandler):
            def serve(self) -> None:
                front_end.answer(self, host)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve  # noqa: N815

        return Handler

    def answer(self, handler: FakeHandler, host: str) -> None:
        """Answers the request, and writes of it in the log what Google does."""
        began = time.monotonic()
        size = int(handler.headers.get("Content-Length") or 0)
        place, path = self._place(host, handler.path)
        service = self.plane.services.by_name.get((place.location, place.service))
        if size > LARGEST_BYTES:
            handler.close_connection = True
            _page(handler, 413)
            return
        body = handler.rfile.read(size) if size else _chunks(handler)
        bare = path.partition("?")[0]
        if service is None or bare in ("/healthz", "/eventlog") or bare.startswith("/_ah/"):
            _page(handler, 404)
            return
        if body and handler.command in ("GET", "HEAD"):
            _page(handler, 400)
            return
        headers, allowed = self._checked(handler, place)
        revision = self._revision(service, place.tag)
        if not allowed or revision is None:
            done = Forwarded(_page(handler, 404 if allowed else 403))
        else:
            done = self._served(handler, place.location, revision, path, headers, body)
        name = revision["metadata"]["name"] if revision and allowed else ""
        self.plane.log.add_request(
            handler, place.location, place.service, name, done, time.monotonic() - began, len(body)
        )

    def _place(self, host: str, path: str) -> tuple[Place, str]:
        place = self._places[host]
        if not place.is_functions:
            return place, path
        name, slash, rest = path.lstrip("/").partition("/")
        name, mark, query = name.partition("?")
        return Place(place.location, name), f"/{rest}" if slash else f"/{mark}{query}"

    def _revision(self, service: dict[str, Any], tag: str) -> dict[str, Any] | None:
        targets = service["status"]["traffic"]
        if not targets:
            return None
        with self._lock:
            name = tagged(targets, tag) if tag else drawn(targets, self.chance)
        location = service["metadata"]["labels"]["cloud.googleapis.com/location"]
        return self.plane.services.revisions.get((location, name)) if name else None

    def _checked(self, handler: FakeHandler, place: Place) -> tuple[dict[str, str], bool]:
        """The headers as the function gets them, and whether the caller may invoke it."""
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        resource = self.plane.services.policy_name(place.location, place.service)
        if self.plane.policies.allows("", "run.routes.invoke", resource):
            return headers, True
        named = {name.lower(): name for name in headers}
        name = named.get("x-serverless-authorization") or named.get("authorization")
        scheme, _, token = headers.get(name or "", "").partition(" ")
        claims = self.plane.accounts.claims(token) if scheme.lower() == "bearer" else None
        if name is None or claims is None or claims.get("aud") not in self.audiences(place.location, place.service):
            return headers, False
        headers[name] = f"{scheme} {checked_by_the_platform(token)}"
        return headers, self.plane.may(str(claims.get("email", "")), "run.routes.invoke", resource)

    def _served(
        self,
        handler: FakeHandler,
        location: str,
        revision: dict[str, Any],
        path: str,
        headers: dict[str, str],
        body: bytes,
    ) -> Forwarded:
        try:
            instance = self.plane.instances.reach(location, revision)
        except NotStarted:
            return Forwarded(_page(handler, 503))
        forwarded = forward(handler, instance.port, path, headers, body, revision["spec"]["timeoutSeconds"])
        return forwarded if forwarded.status else Forwarded(_page(handler, forwarded.instead))


def _chunks(handler: FakeHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return b""
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _page(handler: FakeHandler, status: int) -> int:
    """Google's own, in HTML."""
    title = _TITLES.get(status, "Error")
    text = _PAGES[status].format(path=handler.path.partition("?")[0])
    page = (
        f"<html><head><title>{status} {title}</title></head><body><h1>Error: {title}</h1><h2>{text}</h2></body></html>"
    )
    handler.answer(status, page.encode(), "text/html; charset=UTF-8")
    return status
