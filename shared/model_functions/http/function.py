"""One family's function: loads the model that is asked for, and predicts."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

from model_functions import memory
from model_functions.budget import MemoryBudget
from model_functions.cache import LoadedModel, ModelCache
from model_functions.errors import InvalidInput, ModelError, NotAcceptable, ServingError
from model_functions.http import description, pages
from model_functions.http.message import Request, Response
from model_functions.http.prediction import PredictionRequest, read_prediction_request
from model_functions.http.service import Service
from model_functions.http.streaming import EventStream, event, named, streamed
from model_functions.loading import ModelLoader
from model_functions.names import function_name
from model_functions.once import Once
from model_functions.settings import Settings
from model_functions.wrapper import STREAM, ModelWrapper

log = logging.getLogger(__name__)


class FamilyFunction(Service):
    """The function of the family that the wrapper class names."""

    def __init__(self, wrapper_class: type[ModelWrapper], settings: Settings) -> None:
        super().__init__(function_name(wrapper_class.family), wrapper_class.family, settings)
        self.family = wrapper_class.family
        self.wrapper_class = wrapper_class
        self.cache = Once(self.open_cache)

    def predict(self, request: Request) -> Response:
        asked = read_prediction_request(request, self.settings.max_body_bytes, self.wrapper_class.media)
        name = asked.model_name or self.default_name()
        with ExitStack() as held:
            model = held.enter_context(self.model(name, request))
            if wants_stream(model.wrapper, asked, request):
                return stream(name, model, asked, request, held)
            prediction = run(model, asked, request)
            return answer(name, model, {"body": prediction})

    def warm_up(self, request: Request) -> Response:
        name = self.warm_up_name(request) or self.default_name()
        with self.model(name, request) as model:
            sample = PredictionRequest(name, model.manifest.examples[0], {})
            run(model, sample, request)
            return answer(name, model, {"phases": request.phases.ledger()})

    def preload(self) -> None:
        """Warms the default model up before anybody asks; a failure is logged, and told to the first request."""
        self.handle(Request("POST", "/warmup", [], {}, read=lambda size: b""))

    @contextmanager
    def model(self, name: str, request: Request) -> Iterator[LoadedModel]:
        with self.cache().use(name, request.phases) as model:
            if "load" in request.phases.milliseconds:
                self.metrics.load(name)
            yield model

    def open_cache(self) -> ModelCache:
        loader = ModelLoader(self.repository(), self.wrapper_class, self.settings.model_alias)
        limit = self.settings.memory_limit or memory.instance_limit()
        cache = ModelCache(loader, MemoryBudget(limit, memory.reserve(limit)))
        watch = self.metrics.watch
        watch("gauge", "models_loaded", "Models in memory.", lambda: len(cache.loaded()))
        watch("gauge", "memory_budget_bytes", "What models may take.", lambda: cache.memory_budget)
        watch("gauge", "memory_used_bytes", "What models take, by their manifests.", lambda: cache.memory_used)
        watch("counter", "evictions_total", "Models that left for another.", lambda: cache.evictions)
        return cache

    def default_name(self) -> str:
        """The model of a request that names none. Raises InvalidInput when there are several."""
        if self.settings.model_name is not None:
            return self.settings.model_name
        names = self.directory().names()
        if len(names) == 1:
            return names[0]
        raise InvalidInput(
            "model_name", f'The request has no "model_name". The models of this function: {self.known_names()}.'
        )

    def ready(self, request: Request) -> Response:
        return Response.json({"status": "ready", "loaded": self.cache().loaded()})

    def page(self) -> Response:
        return pages.description(self.name, self.models())

    def models(self) -> list[dict[str, Any]]:
        return description.models(self.repository(), self.settings.model_alias, self.family)


def answer(name: str, model: LoadedModel, fields: dict[str, Any]) -> Response:
    """The fields with the name and the revision of who gave them. Raises ModelError for a NaN among them."""
    revision = model.manifest.revision
    try:
        return Response.json({"model_name": name, "revision": revision} | fields, headers=headers_of(model))
    except ValueError as exc:
        raise not_finite(name) from exc


def headers_of(model: LoadedModel) -> dict[str, str]:
    """Who answers, and what computed it on this very instance."""
    engine = model.manifest.here.engine
    return {
        "X-Model-Revision": model.manifest.revision,
        "X-Model-Engine": engine.name,
        "X-Model-Precision": engine.precision,
    }


def not_finite(name: str) -> ModelError:
    return ModelError(f"{name} answered with a number that is not finite. Report the input to its owner.")


def wants_stream(wrapper: ModelWrapper, asked: PredictionRequest, request: Request) -> bool:
    """Whether the answer is asked for piece by piece: by the parameter, or where it is silent by ``Accept``."""
    parameter = wrapper.parameters.get(STREAM.name)
    if parameter is None:
        if request.accepts_events():
            raise NotAcceptable(f"{wrapper.task} models do not stream. Accept application/json.")
        return False
    if STREAM.name in asked.spelled:
        return bool(parameter.parse(asked.spelled[STREAM.name]))
    given = asked.parameters.get(STREAM.name)
    return bool(parameter.default) or request.accepts_events() if given is None else bool(parameter.check(given))


def stream(name: str, model: LoadedModel, asked: PredictionRequest, request: Request, held: ExitStack) -> Response:
    """The prediction in pieces. Raises InvalidInput, ModelError, for what fails before the first one.

    Args:
        held: kept until the last piece.
    """
    pieces = model.wrapper.stream(*read(model.wrapper, asked))
    held.callback(pieces.close)
    told = named(pieces)

    def events() -> Iterator[bytes]:
        while True:
            # Held for a step only: a caller who reads slowly keeps nobody else waiting.
            with alone(model, request):
                found = next(told, None)
            if found is None:
                return
            kind, value = found
            if kind is not None:
                value = {"model_name": name, "revision": model.manifest.revision, "body": value}
            try:
                yield event(kind, value)
            except ValueError as exc:
                raise not_finite(name) from exc

    rest = events()
    first = next(rest)
    chunks = EventStream(chain([first], rest), held.pop_all(), request.id)
    return streamed(chunks, headers_of(model))


def run(model: LoadedModel, asked: PredictionRequest, request: Request) -> Any:
    """The wrapper's prediction, alone in its lane. Raises InvalidInput, ModelError."""
    data, parameters = read(model.wrapper, asked)
    with alone(model, request):
        return model.wrapper.predict(data, parameters)


def read(wrapper: ModelWrapper, asked: PredictionRequest) -> tuple[Any, dict[str, Any]]:
    """Data and parameters, which a query string or a form spells."""
    data = wrapper.input.from_query(asked.data) if asked.is_query else asked.data
    parameters = {
        name: wrapper.parameters[name].parse(text) if name in wrapper.parameters else text
        for name, text in asked.spelled.items()
    }
    return data, asked.parameters | parameters


@contextmanager
def alone(model: LoadedModel, request: Request) -> Iterator[None]:
    """Nobody else uses the wrapper meanwhile. Raises ModelError for what it was not meant to raise."""
    with request.phases("queue"):
        model.lane.acquire()
    try:
        with request.phases("infer"):
            yield
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
