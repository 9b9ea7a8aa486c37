"""The front page and ``/predict`` for every family: finds the family of a model and asks its function."""

import threading
import time
from typing import Any
from urllib.parse import urlencode

from model_functions.errors import ConfigurationInvalid, InvalidInput, ModelNotFound
from model_functions.http import description, openapi, pages
from model_functions.http.body import parse_json, read_body, read_json
from model_functions.http.front_door import FrontDoor, method_not_allowed
from model_functions.http.function import open_repository, read_warm_up
from model_functions.http.message import Request, Response
from model_functions.http.prediction import from_json, from_query
from model_functions.http.upstream import FunctionClient
from model_functions.metrics import Metrics
from model_functions.names import is_model_name
from model_functions.once import Once
from model_functions.settings import Settings

#: Seconds for which the list of models is taken as it was read.
LISTING_TTL_S = 10.0
#: Seconds between two looks for a name that is not in the list: a new model is found at once, a
#: stream of wrong names does not become a stream of listings.
MISS_TTL_S = 1.0


class Gateway:
    """The function without a model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.repository = Once(lambda: open_repository(settings))
        self.functions = Once(lambda: open_functions(settings))
        self.routes = {
            "/": {"GET": self.page},
            "/predict": {"POST": self.predict, "GET": self.predict_by_query},
            "/warmup": {"POST": self.warm_up},
            "/health": {"GET": self.health},
            "/ready": {"GET": self.ready},
            "/metrics": {"GET": self.show_metrics},
            "/openapi.json": {"GET": self.openapi},
            "/docs": {"GET": self.docs},
        }
        self.handle = FrontDoor(self.routes, self.metrics).handle
        self._families: dict[str, list[str]] = {}
        self._listed_at = -LISTING_TTL_S
        self._lock = threading.Lock()

    def page(self, request: Request) -> Response:
        if request.accepts_html():
            return pages.playground()
        return Response.json({"function": "gateway", "models": self.models()}, headers={"Vary": "Accept"})

    def predict(self, request: Request) -> Response:
        body = read_json(request, self.settings.max_body_bytes)
        return self._forward(request, from_json(body).model_name, "/predict", body)

    def predict_by_query(self, request: Request) -> Response:
        if request.query:
            asked = from_query(request.query)
            return self._forward(request, asked.model_name, "/predict?" + urlencode(request.query), None)
        body = read_body(request, self.settings.max_body_bytes)
        if not body:
            raise method_not_allowed(request, {"POST": self.predict})
        value = parse_json(body)
        return self._forward(request, from_json(value).model_name, "/predict", value)

    def warm_up(self, request: Request) -> Response:
        name = read_warm_up(request, self.settings.max_body_bytes)
        return self._forward(request, name, "/warmup", {"model_name": name})

    def health(self, request: Request) -> Response:
        return Response.json({"status": "alive"})

    def ready(self, request: Request) -> Response:
        self.repository()
        return Response.json({"status": "ready", "functions_url": self.functions().url})

    def show_metrics(self, request: Request) -> Response:
        return Response.text(self.metrics.render(), "text/plain; version=0.0.4; charset=utf-8")

    def openapi(self, request: Request) -> Response:
        return Response.json(openapi.document("gateway", self.models()))

    def docs(self, request: Request) -> Response:
        return pages.docs(openapi.document("gateway", self.models()))

    def models(self) -> list[dict[str, Any]]:
        return description.models(self.repository(), self.settings.model_alias)

    def _forward(self, request: Request, name: str | None, target: str, body: Any) -> Response:
        family = self._family(name)
        method = "GET" if body is None else "POST"
        with request.phases("function"):
            return self.functions().ask(family, method, target, body, request.id)

    def _family(self, name: str | None) -> str:
        if name is None:
            known = ", ".join(sorted(self._listed())) or "none is published yet"
            raise InvalidInput("model_name", f'The request has no "model_name". The models here: {known}.')
        families = self._listed(name).get(name, []) if is_model_name(name) else []
        if not families:
            raise ModelNotFound(f'No model "{name[:64]}" is published here. GET / lists the models.')
        if len(families) > 1:
            raise InvalidInput(
                "model_name", f'"{name}" is published in {" and ".join(families)}. Ask that function itself.'
            )
        return families[0]

    def _listed(self, name: str | None = None) -> dict[str, list[str]]:
        """Families by model name; read again when it is old, or when it lacks the name that is asked for."""
        with self._lock:
            age = time.monotonic() - self._listed_at
            if age >= LISTING_TTL_S or (name not in self._families and age >= MISS_TTL_S):
                found: dict[str, list[str]] = {}
                for family, model_name in self.repository().names():
                    found.setdefault(model_name, []).append(family)
                self._families, self._listed_at = found, time.monotonic()
            return self._families


def open_functions(settings: Settings) -> FunctionClient:
    if settings.functions_url is None:
        raise ConfigurationInvalid(
            "FUNCTIONS_URL is not set. Set it to what stands before /FUNCTION-NAME in the functions' URLs, "
            "as https://REGION-PROJECT.cloudfunctions.net."
        )
    return FunctionClient(settings.functions_url, send_tokens=settings.on_google_cloud)
