"""The front page, and predictions in every protocol: finds the family of a model and asks its function."""

from collections.abc import Callable
from typing import Any

from model_functions.errors import ConfigurationInvalid, InvalidInput, ModelNotFound
from model_functions.http import description, pages
from model_functions.http.body import raw_body
from model_functions.http.message import Handler, Request, Response, Steps
from model_functions.http.prediction import ANY_MEDIA
from model_functions.http.question import Published, Question
from model_functions.http.service import Service, waiting
from model_functions.http.upstream import FunctionClient
from model_functions.loaded import LoadedModel
from model_functions.once import Once
from model_functions.settings import Settings


class Gateway(Service):
    """The function without a model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("gateway", None, settings, ANY_MEDIA)
        self.functions = Once(lambda: open_functions(settings))

    def predicting(self, read: Callable[[Request], Question], speaks: str | None = None) -> Handler:
        def handle(request: Request) -> Response:
            # Where the path names the model, its function reads the question, once.
            return self._forward(request, request.place.get("model") or read(request).model_name)

        return waiting(handle)

    def telling(self, tell: Callable[[Request, LoadedModel], Response]) -> Handler:
        return self._passing_on

    def knowing(self, tell: Callable[[Request, Published], Response]) -> Handler:
        return self._passing_on

    def _passing_on(self, request: Request) -> Steps:
        yield None
        return self._forward(request, request.place.get("model"))

    def warm_up(self, request: Request) -> Steps:
        yield None
        name = self.warm_up_name(request)
        if name is not None:
            return self._forward(request, name)
        # A ping that keeps the gateway itself: what its first caller would wait for.
        self.functions()
        return Response.json({"models": self.seen_names(request)})

    def readiness(self) -> dict[str, Any]:
        self.repository()
        return {"functions_url": self.functions().url}

    def page(self, request: Request) -> Response:
        return pages.playground(compressed=request.accepts_gzip())

    def models(self) -> list[dict[str, Any]]:
        return description.models(self.repository(), self.settings.model_alias)

    def default_model(self) -> str | None:
        return None

    def _forward(self, request: Request, name: str | None) -> Response:
        family = self._family(request, name)
        with request.phases("function"):
            return self.functions().ask(family, request, raw_body(request, self.settings.max_body_bytes))

    def needs(self, request: Request) -> str | None:
        # The page tells nothing: it asks for a key, and then for the models.
        is_page = request.route == "/" and request.method in ("GET", "HEAD") and request.accepts_html()
        return None if is_page else super().needs(request)

    def _family(self, request: Request, name: str | None) -> str:
        if name is None:
            known = self.known_names(request)
            raise InvalidInput("model_name", f'The request has no "model_name". The models here: {known}.')
        families = [family for family in self.directory().families(name) if request.identity.sees(family, name)]
        if not families:
            # Says the same of a model that is for other eyes as of one that is not there.
            request.identity.check(None, name)
            raise ModelNotFound(f'No model "{name[:64]}" is published here. GET / lists the models.')
        if len(families) > 1:
            raise InvalidInput(
                "model_name", f'"{name}" is published in {" and ".join(families)}. Ask that function itself.'
            )
        request.served = name
        return families[0]


def open_functions(settings: Settings) -> FunctionClient:
    if settings.functions_url is None:
        raise ConfigurationInvalid(
            "FUNCTIONS_URL is not set. Set it to what stands before /FUNCTION-NAME in the functions' URLs, "
            "as https://REGION-PROJECT.cloudfunctions.net, or as https://{function}-NUMBER.REGION.run.app."
        )
    return FunctionClient(settings.functions_url, send_tokens=settings.on_google_cloud)
