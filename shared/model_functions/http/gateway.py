"""The front page and ``/predict`` for every family: finds the family of a model and asks its function."""

from typing import Any
from urllib.parse import urlencode

from model_functions.directory import Directory
from model_functions.errors import ConfigurationInvalid, InvalidInput, ModelNotFound
from model_functions.http import description, openapi, pages
from model_functions.http.body import parse_json, read_body, read_json
from model_functions.http.front_door import FrontDoor, method_not_allowed
from model_functions.http.function import open_repository, read_warm_up
from model_functions.http.message import Request, Response
from model_functions.http.prediction import from_json, from_query
from model_functions.http.upstream import FunctionClient
from model_functions.metrics import Metrics
from model_functions.once import Once
from model_functions.settings import Settings


class Gateway:
    """The function without a model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.repository = Once(lambda: open_repository(settings))
        self.directory = Once(lambda: Directory(self.repository()))
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
            known = ", ".join(self.directory().names()) or "none is published yet"
            raise InvalidInput("model_name", f'The request has no "model_name". The models here: {known}.')
        families = self.directory().families(name)
        if not families:
            raise ModelNotFound(f'No model "{name[:64]}" is published here. GET / lists the models.')
        if len(families) > 1:
            raise InvalidInput(
                "model_name", f'"{name}" is published in {" and ".join(families)}. Ask that function itself.'
            )
        return families[0]


def open_functions(settings: Settings) -> FunctionClient:
    if settings.functions_url is None:
        raise ConfigurationInvalid(
            "FUNCTIONS_URL is not set. Set it to what stands before /FUNCTION-NAME in the functions' URLs, "
            "as https://REGION-PROJECT.cloudfunctions.net."
        )
    return FunctionClient(settings.functions_url, send_tokens=settings.on_google_cloud)
