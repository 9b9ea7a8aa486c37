"""What every function answers besides predictions: the frame that a family and the gateway fill."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from model_functions import memory
from model_functions.artifact.signing import Trust
from model_functions.directory import Directory
from model_functions.errors import InvalidInput
from model_functions.http import observed, pages, permissions
from model_functions.http.body import read_json
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Handler, Request, Response, Steps
from model_functions.http.origins import Origins
from model_functions.http.prediction import checked_model_name, read_prediction_request
from model_functions.http.question import Published, Question
from model_functions.http.room import Room
from model_functions.http.routes import Routes, protocol_routes
from model_functions.loaded import LoadedModel
from model_functions.metrics import OPEN_METRICS, TEXT, Metrics
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store import open_store

if TYPE_CHECKING:
    from model_functions.access.doorkeeper import Doorkeeper


class Service(ABC):
    """One Cloud Function; an edge answers its requests by ``steps``.

    Args:
        name: the function's name.
        family: whose models it serves; None means all.
        media: types of files that a body may be.
    """

    def __init__(self, name: str, family: str | None, settings: Settings, media: Sequence[str]) -> None:
        self.name = name
        self.family = family
        self.settings = settings
        self.media = media
        self.metrics = Metrics()
        # Opened when first needed: health must answer even where the settings cannot work.
        self.repository = Once(lambda: open_repository(settings))
        self.directory = Once(lambda: Directory(self.repository(), family))
        predict = self.predicting(lambda asked: read_prediction_request(asked, settings.max_body_bytes, media))
        own: dict[str, dict[str, Handler | str]] = {
            "/": {"GET": waiting(self.front_page), "POST": "hugging_face", "OPTIONS": "torchserve"},
            "/predict": {"POST": predict, "GET": predict},
            "/warmup": {"POST": self.warm_up},
            "/health": {"GET": self.health},
            "/ready": {"GET": waiting(lambda _: self.ready())},
            "/metrics": {"GET": self.show_metrics},
            "/openapi.json": {"GET": waiting(self.openapi)},
            "/docs": {"GET": waiting(self.docs)},
        }
        if settings.predict_route is not None:
            own.setdefault(settings.predict_route, {})["POST"] = "vertex"
        if settings.health_route is not None:
            own.setdefault(settings.health_route, {}).setdefault("GET", "vertex")
        self.routes = Routes(own, lambda name: protocol_routes(name, self))
        self.guard = self.open_guard()
        limit = settings.max_body_bytes
        origins = Origins(settings.allowed_origins) if settings.allowed_origins else None
        door = FrontDoor(
            *(self.routes, self.metrics, settings.timeout_s, limit, self.guard, self.needs),
            origins=origins,
            room=Room(self._room),
            family=family,
        )
        self.handle, self.steps = door.handle, door.steps

    def _room(self) -> int:
        """Bytes of bodies at a time: half of what models leave free, since a body is more when it is read."""
        return memory.reserve(self.settings.memory_limit or memory.instance_limit()) // 2

    def open_guard(self) -> "Doorkeeper | None":
        """Who lets callers in; None: everybody may ask."""
        if not self.settings.access:
            return None
        # Imported here: who is open to everybody has no use for it.
        from model_functions.access.doorkeeper import open_guard

        return open_guard(self.settings, self.repository)

    def needs(self, request: Request) -> str | None:
        """What a request demands of who asks, one of settings.ACTIONS; None: nothing."""
        if request.route in permissions.PUBLIC or request.route == self.settings.health_route:
            return None
        if request.route == "/docs" and self._asks_for_a_key(request):
            return None
        return permissions.ACTIONS.get(request.route, "predict")

    def _asks_for_a_key(self, request: Request) -> bool:
        """Whether a browser comes without proof of who asks: it gets a page that asks for it, and tells nothing."""
        proven = any(name in request.headers for name in permissions.PROOFS)
        return self.guard is not None and request.accepts_html() and not proven

    def front_page(self, request: Request) -> Response:
        """What the function serves, as JSON, or for a browser as a page."""
        if request.accepts_html():
            return self.page(request)
        told = {"status": "alive", "function": self.name, "models": self.seen(request)}
        return Response.json(told, headers={"Vary": "Accept"})

    @abstractmethod
    def page(self, request: Request) -> Response:
        """The front page for a browser."""

    @abstractmethod
    def predicting(self, read: Callable[[Request], Question], speaks: str | None = None) -> Handler:
        """Answers what a request asks of a model. The path names it as ``{model}``, or else the question does.

        Args:
            speaks: what the model's family must have said that it can (``ModelWrapper.speaks``).
        """

    @abstractmethod
    def telling(self, tell: Callable[[Request, LoadedModel], Response]) -> Handler:
        """Answers with what a model says of itself once it is loaded, the path's ``{model}`` or the default one."""

    @abstractmethod
    def knowing(self, tell: Callable[[Request, Published], Response]) -> Handler:
        """Answers with what is known of a published model without loading it."""

    @abstractmethod
    def warm_up(self, request: Request) -> Steps:
        """Loads a model and predicts its sample, so that the first user pays nothing."""

    def health(self, request: Request) -> Response:
        """Whether the process is alive; touches nothing that could be away. Raises what only its end can mend."""
        return health(request)

    def ready(self) -> Response:
        """Raises what keeps the function from serving; a model that loads lazily does not."""
        told = self.readiness()
        if self.guard is not None:
            self.guard.check()
            # Everybody may ask, so that nothing is told.
            told = {}
        return Response.json({"status": "ready", **told})

    @abstractmethod
    def readiness(self) -> dict[str, Any]:
        """What the function is ready with. Raises ConfigurationInvalid where its settings cannot work."""

    @abstractmethod
    def models(self) -> list[dict[str, Any]]:
        """Records as http.description makes them."""

    def seen(self, request: Request) -> list[dict[str, Any]]:
        """The records of the models that are for the eyes of who asks."""
        sees = request.identity.sees
        return [model for model in self.models() if sees(model["family"], model["model_name"])]

    def seen_names(self, request: Request) -> list[str]:
        """The names of the models that are for the eyes of who asks."""
        return self.directory().names(request.identity.sees)

    def loaded(self) -> list[LoadedModel]:
        """The models that this instance has in memory."""
        return []

    def unloaded(self) -> frozenset[str]:
        """The models that somebody unloaded from this instance, and that have not been asked since."""
        return frozenset()

    def unload(self, name: str) -> None:
        """Lets go of a model that this instance has in memory."""
        raise NotImplementedError(f"{self.name} has no models")

    def show_metrics(self, request: Request) -> Response:
        observed.write_now()
        is_open = "application/openmetrics-text" in request.headers.get("accept", "")
        text = self.metrics.render(open_metrics=is_open)
        return Response.text(text, OPEN_METRICS if is_open else TEXT, {"Vary": "Accept"})

    def openapi(self, request: Request) -> Response:
        return Response.json(self._described(request))

    def docs(self, request: Request) -> Response:
        if self._asks_for_a_key(request):
            return pages.docs_entrance()
        return pages.docs(self._described(request))

    @abstractmethod
    def default_model(self) -> str | None:
        """The model of a request that names none; None where it must name one."""

    def _described(self, request: Request) -> dict[str, Any]:
        # Imported here: it is all that any protocol says, and few ask for it.
        from model_functions.http.openapi import document
        from model_functions.http.openapi.served import Served, models_of

        seen = self.seen(request)
        default = self.default_model()
        models = models_of(seen, default if default in {model["model_name"] for model in seen} else None)
        routes = self.settings.predict_route, self.settings.health_route
        proofs = {"keys": ("key", "bearer"), "iam": ("bearer",)}
        access = tuple(dict.fromkeys(proof for way in self.settings.access for proof in proofs.get(way, ())))
        return document(Served(self.name, models, self.family is None, *routes, access=access))

    def warm_up_name(self, request: Request) -> str | None:
        """The model that ``POST /warmup`` names, if it does."""
        if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
            return None
        body = read_json(request, self.settings.max_body_bytes)
        if not isinstance(body, dict) or not set(body) <= {"model_name"}:
            raise InvalidInput("", 'A warm-up takes {"model_name": NAME} or nothing.')
        return checked_model_name(body.get("model_name"))

    def known_names(self, request: Request) -> str:
        """The models there are for who asks, for a message."""
        return ", ".join(self.directory().known(request.identity.sees)) or "none is published yet"


def waiting(handler: Callable[[Request], Response]) -> Callable[[Request], Steps]:
    """The handler of a route that may take long: it asks the store."""

    def handle(request: Request) -> Steps:
        yield None
        return handler(request)

    return handle


def health(request: Request) -> Response:
    """Whether the process is alive; touches nothing that could be away."""
    return Response.json({"status": "alive"})


def open_repository(settings: Settings) -> Repository:
    trust = Trust.read(settings.trust_file, on_google_cloud=settings.on_google_cloud)
    return Repository(open_store(settings.model_store), trust)
