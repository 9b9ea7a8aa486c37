"""Which handlers a path has: the function's own first, then those of the protocols."""

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from model_functions.http.errors import refuse
from model_functions.http.message import Handler, Refuse, Request
from model_functions.http.protocols import modules_of

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: Handlers by path template and method, as ``{"/v2/models/{model}/infer": {"POST": infer}}``; a string instead of a
#: handler names the protocol that has one.
Table = Mapping[str, Mapping[str, Handler | str]]


class Route(NamedTuple):
    """A path that is known, or, without handlers, one that nothing answers.

    Args:
        refuse: renders the errors of its requests.
        place: what stood for the names of the template.
    """

    template: str
    handlers: Mapping[str, Handler | str]
    refuse: Refuse
    place: Mapping[str, str]


class Routes:
    """A function's routes.

    Args:
        own: of the function itself, at plain paths.
        protocol: the table of a protocol, by its name; asked for once somebody speaks it.
    """

    def __init__(self, own: Table, protocol: "Callable[[str], ProtocolRoutes] | None" = None) -> None:
        self._own = {path: Route(path, handlers, refuse, {}) for path, handlers in own.items()}
        self._make = protocol or (lambda name: ProtocolRoutes({}, refuse))
        self._made: dict[str, ProtocolRoutes] = {}

    def find(self, request: Request) -> Route:
        """The route of the request's path, whatever its method."""
        own = self._own.get(request.path)
        if own is not None:
            handler = own.handlers.get(request.method)
            return own if type(handler) is not str else self.protocol(handler).find(request.path)
        return _joined([self.protocol(name).find(request.path) for name in modules_of(request.path)], request.method)

    def protocol(self, name: str) -> "ProtocolRoutes":
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]


class ProtocolRoutes:
    """A protocol's routes.

    Args:
        refuse: renders the errors on its paths, those that nothing answers included.
    """

    def __init__(self, table: Table, refuse: Refuse) -> None:
        self.refuse = refuse
        self.table = table
        self._patterns = [(_pattern(template), template) for template in table]

    def find(self, path: str) -> Route:
        for pattern, template in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return Route(template, self.table[template], self.refuse, found.groupdict())
        return Route("other", {}, self.refuse, {})


def protocol_routes(name: str, service: "Service") -> ProtocolRoutes:
    """Imports the protocol's module, which a function that is never asked in it does without."""
    module = import_module(f"model_functions.http.protocols.{name}")
    return ProtocolRoutes(module.routes(service), module.refuse)


def _joined(routes: Iterable[Route], method: str) -> Route:
    """The route of several protocols that share a path: of the one that takes the method, else the first's.

    Args:
        routes: one a protocol; only those count that say most of the path, whatever methods the others take.
    """
    routes = list(routes)
    found = [route for route in routes if route.handlers]
    fewest = min((len(route.place) for route in found), default=0)
    found = [route for route in found if len(route.place) == fewest]
    taking = "GET" if method == "HEAD" else method
    for route in found:
        if taking in route.handlers:
            break
    else:
        route = next(iter(found or routes), Route("other", {}, refuse, {}))
    # The methods of all are told.
    handlers = {method: handler for one in found for method, handler in one.handlers.items()} | dict(route.handlers)
    return route._replace(handlers=handlers)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    texts = [f"(?P<{part}>[^/:]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(texts))
