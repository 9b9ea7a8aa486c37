"""One family's function: loads the model that is asked for, and predicts."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

from model_functions import memory
from model_functions.budget import MemoryBudget
from model_functions.cache import LoadedModel, ModelCache
from model_functions.caller import Caller
from model_functions.errors import InvalidInput, ModelError, NotAcceptable, ServingError
from model_functions.http import description, pages
from model_functions.http.message import Request, Response, WouldWait
from model_functions.http.prediction import PredictionRequest, read_prediction_request
from model_functions.http.service import Service
from model_functions.http.streaming import EventStream, event, named, streamed
from model_functions.loading import ModelLoader
from model_functions.names import function_name
from model_functions.once import Once
from model_functions.phases import Phases
from model_functions.queue import ALONE, Work, WorkQueue, unforeseen
from model_functions.rows import Batch, Row, RowWrapper
from model_functions.settings import Settings
from model_functions.wrapper import STREAM, ModelWrapper


class FamilyFunction(Service):
    """The function of the family that the wrapper class names."""

    def __init__(self, wrapper_class: type[ModelWrapper], settings: Settings) -> None:
        super().__init__(function_name(wrapper_class.family), wrapper_class.family, settings)
        self.family = wrapper_class.family
        self.wrapper_class = wrapper_class
        self.cache = Once(self.open_cache)
        self.queue = self.open_queue()

    def predict(self, request: Request) -> Response:
        asked = read_prediction_request(request, self.settings.max_body_bytes, self.wrapper_class.media)
        name = asked.model_name or self.default_name(request)
        with ExitStack() as held:
            model = held.enter_context(self.model(name, request))
            if wants_stream(model.wrapper, asked, request):
                return self._streamed(model, asked, request, held)
            return answer(model, {"body": self._run(model, asked, request)})

    def warm_up(self, request: Request) -> Response:
        name = self.warm_up_name(request) or self.default_name(request)
        with self.model(name, request) as model:
            sample = PredictionRequest(name, model.manifest.examples[0], {})
            self._run(model, sample, request)
            return answer(model, {"phases": request.phases.ledger()})

    def preload(self) -> None:
        """Warms the default model up before anybody asks; a failure is logged, and told to the first request."""
        self.handle(Request("POST", "/warmup", [], {}, read=lambda size: b""))

    @contextmanager
    def model(self, name: str, request: Request) -> Iterator[LoadedModel]:
        if not self.cache.is_made or not self.cache().has(name):
            request.will_wait()
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

    def open_queue(self) -> WorkQueue:
        queue = WorkQueue(self.settings.max_waiting)
        watch = self.metrics.watch
        watch("gauge", "requests_waiting", "Requests that wait for a model that runs.", lambda: queue.waiting)
        watch("counter", "batches_total", "Times that a model ran.", lambda: queue.batches)
        watch("counter", "rows_total", "What it read in them.", lambda: queue.rows)
        watch("counter", "overloads_total", "Requests refused because too many wait.", lambda: queue.refused)
        return queue

    def default_name(self, request: Request) -> str:
        """The model of a request that names none. Raises InvalidInput when there are several."""
        if self.settings.model_name is not None:
            return self.settings.model_name
        if not self.directory.is_made or not self.directory().is_fresh():
            request.will_wait()
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

    def _run(self, model: LoadedModel, asked: PredictionRequest, request: Request) -> Any:
        """The wrapper's prediction. Raises InvalidInput, ModelError, Overloaded, DeadlineExceeded."""
        wrapper = model.wrapper
        data, parameters = read(wrapper, asked)
        if wrapper.streams:
            with ExitStack() as held:
                *_, (_, prediction) = self._steps(model, wrapper.steps(data, parameters), request, held)
            return prediction
        if not isinstance(wrapper, RowWrapper):
            return self._alone(model, lambda: wrapper.predict(data, parameters), request)
        with foreseen(model, request):
            prepared = wrapper.prepare(data, parameters)
        rows = prepared.features
        if wrapper.max_batch == 0:
            read_rows = self._alone(model, lambda: wrapper.forward(rows, prepared.parameters), request)
        else:
            outputs = self._in_turn(
                model,
                lambda found: wrapper.forward_while(found, prepared.parameters, self.queue.check),
                rows.rows,
                wrapper.limits,
                request,
            )
            read_rows = replace(rows, outputs=outputs)
        with foreseen(model, request):
            return wrapper.finish(prepared, read_rows)

    def _alone(self, model: LoadedModel, call: Callable[[], Any], request: Request, *, admitted: bool = False) -> Any:
        """What the call returns, while nothing else runs."""
        return self._in_turn(model, lambda _: [call()], [Row(None)], ALONE, request, admitted=admitted)[0]

    def _in_turn(
        self,
        model: LoadedModel,
        reader: Callable[[list[Any]], list[Any]],
        rows: list[Row],
        batch: Batch,
        request: Request,
        *,
        admitted: bool = False,
    ) -> list[Any]:
        work = Work(model.manifest.name, model.pace, reader, rows, batch, request.caller, request.id)
        asked = time.perf_counter()
        try:
            if request.may_wait:
                return self.queue.run(work, admitted=admitted)
            if not self.queue.run_at_once(work):
                raise WouldWait
            return work.result()
        finally:
            request.phases.record("queue", (work.began or time.perf_counter()) - asked)
            if work.ended:
                request.phases.record("infer", work.ended - work.began)

    def _streamed(self, model: LoadedModel, asked: PredictionRequest, request: Request, held: ExitStack) -> Response:
        """The prediction in pieces. Raises InvalidInput, ModelError, for what fails before the first one.

        Args:
            held: kept until the last piece.
        """
        pieces = model.wrapper.stream(*read(model.wrapper, asked))
        told = self._steps(model, pieces, request, held)

        def events() -> Iterator[bytes]:
            for kind, found in told:
                value = found
                if kind is not None:
                    value = {"model_name": model.manifest.name, "revision": model.manifest.revision, "body": found}
                try:
                    yield event(kind, value)
                except ValueError as exc:
                    raise not_finite(model) from exc

        rest = events()
        first = next(rest)
        chunks = EventStream(chain([first], rest), held.pop_all(), request.id)
        return streamed(chunks, headers_of(model))

    def _steps(
        self, model: LoadedModel, pieces: Generator[Any, None, Any], request: Request, held: ExitStack
    ) -> Iterator[tuple[str | None, Any]]:
        """The pieces, and the ``answer``: a step at a time, so that who reads slowly keeps nobody else waiting.

        Args:
            held: closes the pieces.
        """
        request.will_wait()
        told = named(pieces)
        # Whoever hung up may still have a step running: it is closed behind that.
        late = replace(request, caller=Caller(), phases=Phases())
        held.callback(self._alone, model, pieces.close, late, admitted=True)
        found = self._alone(model, lambda: next(told, None), request)
        while found is not None:
            yield found
            found = self._alone(model, lambda: next(told, None), request, admitted=True)


def answer(model: LoadedModel, fields: dict[str, Any]) -> Response:
    """The fields with the name and the revision of who gave them. Raises ModelError for a NaN among them."""
    name, revision = model.manifest.name, model.manifest.revision
    try:
        return Response.json({"model_name": name, "revision": revision} | fields, headers=headers_of(model))
    except ValueError as exc:
        raise not_finite(model) from exc


def headers_of(model: LoadedModel) -> dict[str, str]:
    """Who answers, and what computed it on this very instance."""
    engine = model.manifest.here.engine
    return {
        "X-Model-Revision": model.manifest.revision,
        "X-Model-Engine": engine.name,
        "X-Model-Precision": engine.precision,
    }


def not_finite(model: LoadedModel) -> ModelError:
    return ModelError(
        f"{model.manifest.name} answered with a number that is not finite. Report the input to its owner."
    )


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


def read(wrapper: ModelWrapper, asked: PredictionRequest) -> tuple[Any, dict[str, Any]]:
    """Data and parameters, which a query string or a form spells."""
    data = wrapper.input.from_query(asked.data) if asked.is_query else asked.data
    parameters = {
        name: wrapper.parameters[name].parse(text) if name in wrapper.parameters else text
        for name, text in asked.spelled.items()
    }
    return data, asked.parameters | parameters


@contextmanager
def foreseen(model: LoadedModel, request: Request) -> Iterator[None]:
    """Raises ModelError for what the wrapper was not meant to raise."""
    try:
        yield
    except ServingError:
        raise
    except BaseException as exc:
        raise unforeseen(model.manifest.name, request.id, exc) from exc
