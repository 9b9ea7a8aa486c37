"""The front page and ``/predict`` for every family: finds the family of a model and asks its function."""

from typing import Any
from urllib.parse import urlencode

from model_functions.errors import ConfigurationInvalid, InvalidInput, ModelNotFound
from model_functions.http import description, pages
from model_functions.http.message import Request, Response, Steps
from model_functions.http.prediction import ANY_MEDIA, read_prediction_request
from model_functions.http.service import Service
from model_functions.http.upstream import FunctionClient
from model_functions.once import Once
from model_functions.settings import Settings


class Gateway(Service):
    """The function without a model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("gateway", None, settings)
        self.functions = Once(lambda: open_functions(settings))

    def predict(self, request: Request) -> Steps:
        yield None
        asked = read_prediction_request(request, self.settings.max_body_bytes, ANY_MEDIA)
        target = "/predict?" + urlencode(request.query)
        if asked.is_query:
            return self._forward(request, asked.model_name, target, None)
        if asked.file_body is not None:
            return self._forward(request, asked.model_name, target, asked.file_body)
        body = {"model_name": asked.model_name, "data": asked.data, "parameters": asked.parameters}
        return self._forward(request, asked.model_name, "/predict", body)

    def warm_up(self, request: Request) -> Steps:
        yield None
        name = self.warm_up_name(request)
        return self._forward(request, name, "/warmup", {"model_name": name})

    def ready(self, request: Request) -> Response:
        self.repository()
        return Response.json({"status": "ready", "functions_url": self.functions().url})

    def page(self) -> Response:
        return pages.playground()

    def models(self) -> list[dict[str, Any]]:
        return description.models(self.repository(), self.settings.model_alias)

    def _forward(self, request: Request, name: str | None, target: str, body: Any) -> Response:
        family = self._family(name)
        method = "GET" if body is None else "POST"
        with request.phases("function"):
            return self.functions().ask(family, method, target, body, request)

    def _family(self, name: str | None) -> str:
        if name is None:
            raise InvalidInput("model_name", f'The request has no "model_name". The models here: {self.known_names()}.')
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
