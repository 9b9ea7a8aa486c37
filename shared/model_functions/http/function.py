"""One family's routes: predict, warm up, and say what it is."""

import logging
from typing import Any

from model_functions.artifact.signing import Trust
from model_functions.cache import LoadedModel, ModelCache
from model_functions.directory import Directory
from model_functions.errors import InvalidInput, ModelError, ServingError
from model_functions.http import description, openapi, pages
from model_functions.http.body import read_json
from model_functions.http.front_door import FrontDoor, method_not_allowed
from model_functions.http.message import Request, Response
from model_functions.http.prediction import PredictionRequest, read_prediction_request
from model_functions.inputs import json_type
from model_functions.metrics import Metrics
from model_functions.names import function_name
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)


class FamilyFunction:
    """What one Cloud Function does; an edge hands it requests."""

    def __init__(self, wrapper_class: type[ModelWrapper], settings: Settings) -> None:
        self.wrapper_class = wrapper_class
        self.settings = settings
        self.name = function_name(wrapper_class.family)
        self.metrics = Metrics()
        # Opened when first needed: health must answer even where the settings cannot work.
        self.repository = Once(lambda: open_repository(settings))
        self.directory = Once(lambda: Directory(self.repository(), wrapper_class.family))
        self.cache = Once(lambda: ModelCache(self.repository(), wrapper_class, settings.model_alias))
        self.routes = {
            "/": {"GET": self.describe},
            "/predict": {"POST": self.predict, "GET": self.predict},
            "/warmup": {"POST": self.warm_up},
            "/health": {"GET": self.health},
            "/ready": {"GET": self.ready},
            "/metrics": {"GET": self.show_metrics},
            "/openapi.json": {"GET": self.openapi},
            "/docs": {"GET": self.docs},
        }
        self.handle = FrontDoor(self.routes, self.metrics).handle

    def predict(self, request: Request) -> Response:
        asked = read_prediction_request(request, self.settings.max_body_bytes)
        if asked is None:
            raise method_not_allowed(request, {"POST": self.predict})
        name = asked.model_name or self.default_name()
        model = self.load(name, request)
        prediction = run(model, asked, request)
        return self._answer(name, model, {"body": prediction})

    def warm_up(self, request: Request) -> Response:
        name = read_warm_up(request, self.settings.max_body_bytes) or self.default_name()
        model = self.load(name, request)
        sample = PredictionRequest(name, model.manifest.examples[0], {})
        run(model, sample, request)
        return self._answer(name, model, {"phases": request.phases.milliseconds})

    def load(self, name: str, request: Request) -> LoadedModel:
        known = len(self.cache().loaded())
        model = self.cache().get(name, request.phases)
        if "load" in request.phases.milliseconds and len(self.cache().loaded()) > known:
            self.metrics.load(name)
        return model

    def default_name(self) -> str:
        """The model of a request that names none. Raises InvalidInput when there are several."""
        if self.settings.model_name is not None:
            return self.settings.model_name
        names = self.directory().names()
        if len(names) == 1:
            return names[0]
        known = ", ".join(names) or "none is published yet"
        raise InvalidInput("model_name", f'The request has no "model_name". The models of this function: {known}.')

    def health(self, request: Request) -> Response:
        return Response.json({"status": "alive"})

    def ready(self, request: Request) -> Response:
        # Settings and trust only: a model that loads lazily makes nothing unready.
        return Response.json({"status": "ready", "loaded": self.cache().loaded()})

    def describe(self, request: Request) -> Response:
        if request.accepts_html():
            return pages.description(self.name, self.models())
        return Response.json({"function": self.name, "models": self.models()}, headers={"Vary": "Accept"})

    def show_metrics(self, request: Request) -> Response:
        return Response.text(self.metrics.render(), "text/plain; version=0.0.4; charset=utf-8")

    def openapi(self, request: Request) -> Response:
        return Response.json(openapi.document(self.name, self.models()))

    def docs(self, request: Request) -> Response:
        return pages.docs(openapi.document(self.name, self.models()))

    def models(self) -> list[dict[str, Any]]:
        return description.models(self.repository(), self.settings.model_alias, self.wrapper_class.family)

    def _answer(self, name: str, model: LoadedModel, fields: dict[str, Any]) -> Response:
        revision = model.manifest.revision
        try:
            return Response.json(
                {"model_name": name, "revision": revision} | fields, headers={"X-Model-Revision": revision}
            )
        except ValueError as exc:
            raise ModelError(
                f"{name} answered with a number that is not finite. Report the input to its owner."
            ) from exc


def open_repository(settings: Settings) -> Repository:
    trust = Trust.read(settings.trust_file, on_google_cloud=settings.on_google_cloud)
    return Repository(open_store(settings.model_store), trust)


def read_warm_up(request: Request, limit: int) -> str | None:
    """The model that ``POST /warmup`` names, if it does."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None
    body = read_json(request, limit)
    if not isinstance(body, dict) or not set(body) <= {"model_name"}:
        raise InvalidInput("", 'A warm-up takes {"model_name": NAME} or nothing.')
    name = body.get("model_name")
    if name is not None and not isinstance(name, str):
        raise InvalidInput("model_name", f'"model_name" is {json_type(name)}. Send the model\'s name as a string.')
    return name


def run(model: LoadedModel, asked: PredictionRequest, request: Request) -> Any:
    """The wrapper's prediction, alone in its lane. Raises InvalidInput, ModelError."""
    wrapper, data, parameters = model.wrapper, asked.data, asked.parameters
    if asked.is_query:
        data = wrapper.input.from_query(data)
        parameters = {
            name: wrapper.parameters[name].parse(text) if name in wrapper.parameters else text
            for name, text in parameters.items()
        }
    with request.phases("queue"):
        model.lane.acquire()
    try:
        with request.phases("infer"):
            return wrapper.predict(data, parameters)
    except ServingError:
        raise
    except BaseException as exc:
        # A model may raise anything, SystemExit included; the instance goes on.
        log.exception("predict failed", extra={"fields": {"request_id": request.id, "model": model.manifest.name}})
        raise ModelError(
            f"{model.manifest.name} failed on this input. The function's log has the reason under this request id."
        ) from exc
    finally:
        model.lane.release()
