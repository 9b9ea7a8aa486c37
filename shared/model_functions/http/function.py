"""One family's function: loads the model that is asked for, and predicts."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

from model_functions import memory
from model_functions.artifact.manifest import Manifest
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.caller import Caller
from model_functions.errors import InvalidInput, Overloaded, RouteNotFound, ServingError
from model_functions.http import description, pages
from model_functions.http.blame import Blame
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Awaited, Handler, Request, Response, Steps
from model_functions.http.prediction import PredictionRequest
from model_functions.http.question import Published, Question, answer_json, check_version, headers_of
from model_functions.http.service import Service, waiting
from model_functions.http.streaming import EventStream, named, streamed
from model_functions.loaded import LoadedModel
from model_functions.loading import ModelLoader
from model_functions.names import function_name
from model_functions.once import Once
from model_functions.queue import ALONE, LATER, Work, WorkQueue
from model_functions.rows import Batch, Row, RowWrapper
from model_functions.settings import Settings
from model_functions.updates import Updates
from model_functions.wrapper import ModelWrapper, Prepared

#: Where the platform sets no limit for a request, none takes longer.
MAX_STUCK_S = 300.0
#: How long the end of a stream waits for the model to put its work away.
CLOSE_S = 0.3


class FamilyFunction(Service):
    """The function of the family that the wrapper class names."""

    def __init__(self, wrapper_class: type[ModelWrapper], settings: Settings) -> None:
        super().__init__(function_name(wrapper_class.family), wrapper_class.family, settings, wrapper_class.media)
        self.family: str = wrapper_class.family
        self.wrapper_class = wrapper_class
        self.cache = Once(self.open_cache)
        self.queue = self.open_queue()

    def predicting(self, read: Callable[[Request], Question], speaks: str | None = None) -> Handler:
        def handle(request: Request) -> Steps:
            check_spoken(request, speaks, f"{self.family} models do", self.wrapper_class)
            if "model" in request.place:
                request.identity.check(self.family, request.place["model"])
            return self._answered(read(request), request, speaks)

        return handle

    def telling(self, tell: Callable[[Request, LoadedModel], Response]) -> Handler:
        def handle(request: Request) -> Response:
            with self.cache().use(self._named(request), request.phases, request.caller) as model:
                self._check_version(request, model.manifest)
                return tell(request, model)

        return waiting(handle)

    def knowing(self, tell: Callable[[Request, Published], Response]) -> Handler:
        def handle(request: Request) -> Response:
            name, alias = self._named(request), self.settings.model_alias
            is_loaded = self.cache.is_made and self.cache().has(name)
            if is_loaded:
                with self.cache().use(name, request.phases, request.caller) as model:
                    revision = model.manifest.revision
            else:
                revision = self.repository().resolve(self.family, name, alias, request.phases).revision
            check_version(request.place, name, revision, alias)
            return tell(request, Published(name, self.family, alias, revision, is_loaded))

        return waiting(handle)

    def warm_up(self, request: Request) -> Steps:
        yield None
        name = self.warm_up_name(request) or self.default_name(request)
        request.identity.check(self.family, name)
        with self.cache().use(name, request.phases, request.caller) as model:
            request.served = name
            sample = PredictionRequest(name, model.manifest.examples[0], {})
            yield from self._predicted(model, sample, request)
            told = {"model_name": name, "revision": model.manifest.revision, "phases": request.phases.ledger()}
            return answer_json(model, told)

    def preload(self) -> None:
        """Warms the default model up before anybody asks; a failure is logged, and told to the first request."""
        # Through a door of its own, which no guard stands at.
        FrontDoor(self.routes, self.metrics, family=self.family).handle(
            Request("POST", "/warmup", [], {}, read=lambda size: b"")
        )

    def open_cache(self) -> ModelCache:
        loader = ModelLoader(self.repository(), self.wrapper_class, self.settings.model_alias)
        limit, refresh_s = self.settings.memory_limit or memory.instance_limit(), self.settings.model_refresh_s
        budget = MemoryBudget[Any](limit, memory.reserve(limit))
        cache = ModelCache(loader, budget, loaded=self.metrics.load, refresh_s=refresh_s)
        updates = Updates(cache, loader, refresh_s)
        updates.start()
        watch = self.metrics.watch
        watch("gauge", "models_loaded", "Models in memory.", lambda: len(cache.loaded()))
        watch("gauge", "memory_budget_bytes", "What models may take.", lambda: cache.memory_budget)
        watch("gauge", "memory_used_bytes", "What models take, by their manifests.", lambda: cache.memory_used)
        watch("gauge", "memory_limit_bytes", "What this instance has.", lambda: limit)
        watch("counter", "cache_hits_total", "Requests whose model was here.", lambda: cache.uses - cache.misses)
        watch("counter", "cache_misses_total", "Requests whose model had to be loaded.", lambda: cache.misses)
        watch("counter", "load_failures_total", "Loads that failed.", lambda: cache.failures, "code")
        watch("counter", "evictions_total", "Models that left for another.", lambda: cache.evictions)
        watch("counter", "updates_total", "Revisions that took another's place.", lambda: updates.updates)
        watch("counter", "update_failures_total", "Revisions that were refused instead.", lambda: updates.failures)
        watch("gauge", "models_stale", "Models that may not be what their alias names.", lambda: cache.stale)
        return cache

    def open_queue(self) -> WorkQueue:
        queue = WorkQueue(self.settings.max_waiting)
        watch = self.metrics.watch
        watch("gauge", "requests_waiting", "Requests that wait for a model that runs.", lambda: queue.waiting)
        watch("histogram", "batch_rows", "What a model read at once.", lambda: queue.sizes)
        watch("histogram", "queue_seconds", "What requests waited for a model that ran.", lambda: queue.waits)
        watch(
            "counter",
            "overloads_total",
            "Requests refused because of those that wait.",
            lambda: queue.refusals,
            "reason",
        )
        return queue

    def default_model(self) -> str | None:
        names = self.directory().names()
        return self.settings.model_name or (names[0] if len(names) == 1 else None)

    def default_name(self, request: Request) -> str:
        """The model of a request that names none. Raises InvalidInput when there are several."""
        if self.settings.model_name is not None:
            return self.settings.model_name
        # One that is here is served on, whatever has become of its alias.
        names = self.directory().known() or [model.manifest.name for model in self.loaded()]
        if len(names) == 1:
            return names[0]
        known = self.known_names(request)
        raise InvalidInput("model_name", f'The request has no "model_name". The models of this function: {known}.')

    def _knows_the_default(self) -> bool:
        """Whether the store need not be asked for it."""
        return self.settings.model_name is not None or (self.directory.is_made and self.directory().is_known)

    def health(self, request: Request) -> Response:
        """Raises Overloaded once a model has been stuck for longer than any request may take: its thread and its
        memory come back with a new instance only.
        """
        self._check_stuck(min(self.settings.timeout_s, MAX_STUCK_S))
        return super().health(request)

    def readiness(self) -> dict[str, Any]:
        self._check_stuck(0)
        return {"loaded": self.cache().loaded()}

    def _check_stuck(self, seconds: float) -> None:
        since = self.queue.stuck_s
        if since > seconds:
            raise Overloaded(f"A model has been busy with one request for {since:.0f} s.", retry_after=1)

    def loaded(self) -> list[LoadedModel]:
        return self.cache().models() if self.cache.is_made else []

    def unloaded(self) -> frozenset[str]:
        return self.cache().unloaded() if self.cache.is_made else frozenset()

    def unload(self, name: str) -> None:
        self.cache().unload(name)

    def page(self, request: Request) -> Response:
        return pages.description(self.name, self.seen(request))

    def models(self) -> list[dict[str, Any]]:
        loaded = [model.manifest for model in self.loaded()]
        return description.models(self.repository(), self.settings.model_alias, self.family, loaded)

    def _named(self, request: Request) -> str:
        """The model that the path names, or the default one. Raises Forbidden, InvalidInput."""
        name = request.place.get("model") or self.default_name(request)
        request.identity.check(self.family, name)
        return name

    def _check_version(self, request: Request, manifest: Manifest) -> None:
        if request.place:
            check_version(request.place, manifest.name, manifest.revision, self.settings.model_alias)

    def _answered(self, question: Question, request: Request, speaks: str | None) -> Steps:
        name = request.place.get("model") or question.model_name
        if not name:
            if not self._knows_the_default():
                yield None
            name = self.default_name(request)
        request.identity.check(self.family, name)
        if not self.cache.is_made or not self.cache().has(name):
            yield None
        with (use := self.cache().use(name, request.phases, request.caller)) as model:
            request.served = name
            self._check_version(request, model.manifest)
            # A wrapper of the publisher's own speaks less than its family.
            check_spoken(request, speaks, f"{name} does", model.wrapper)
            if not question.wants_stream(model.wrapper):
                with model.tally.counting(request):
                    prediction = yield from self._predicted(model, question, request)
                    return question.answer(model, prediction)
            self.queue.check_room(name, model.pace, request.caller)
            yield None
            with ExitStack() as held:
                held.enter_context(use.again())
                held.enter_context(model.tally.counting(request))
                return self._streamed(model, question, request, held)

    def _predicted(
        self, model: LoadedModel, question: Question, request: Request
    ) -> Generator[Awaited | None, None, Any]:
        """The wrapper's prediction. Raises InvalidInput, ModelError, Overloaded, DeadlineExceeded."""
        if model.wrapper.streams or not model.pace.is_short:
            # Here, where it takes no thread, and before anything is made of the data.
            self.queue.check_room(model.manifest.name, model.pace, request.caller)
            yield None
        blame, wrapper = Blame(model, request), model.wrapper
        with blame:
            data, parameters = question.read(wrapper)
            if wrapper.streams:
                prediction = self._in_steps(model, data, parameters, request)
                return wrapper.tensors_of(prediction) if question.as_tensors else prediction
            prepared = wrapper.prepare(data, parameters)
            question.prepared(prepared)
        outputs = yield from self._forward(model, prepared, request)
        with blame:
            finish = wrapper.finish_tensors if question.as_tensors else wrapper.finish
            prediction = finish(prepared, outputs)
            model.tally.read(1 if prepared.single else _count(prediction))
        return prediction

    def _forward(
        self, model: LoadedModel, prepared: Prepared, request: Request
    ) -> Generator[Awaited | None, None, Any]:
        """What the model gives for a request; its rows may be read with those of others."""
        wrapper, features, asked = model.wrapper, prepared.features, prepared.parameters
        if not isinstance(wrapper, RowWrapper) or wrapper.max_batch == 0:
            return (yield from self._alone(model, lambda: wrapper.forward(features, asked), request))
        rows: list[Row] = features.rows

        def read_rows(features: list[Any]) -> list[Any]:
            return wrapper.forward_while(features, asked, self.queue.check)

        size = sum(row.size for row in rows)
        found = self._at_once(model, len(rows), size, lambda: wrapper.forward(features, asked), request)
        if found is LATER:
            outputs = yield from self._in_turn(model, read_rows, rows, wrapper.limits, request)
            found = replace(features, outputs=outputs)
        return found

    def _alone(
        self, model: LoadedModel, call: Callable[[], Any], request: Request
    ) -> Generator[Awaited | None, None, Any]:
        """What the call returns, while nothing else runs."""
        found = self._at_once(model, 1, 1, call, request)
        if found is LATER:
            [found] = yield from self._in_turn(model, lambda _: [call()], [Row(None)], ALONE, request)
        return found

    def _at_once(self, model: LoadedModel, rows: int, size: int, call: Callable[[], Any], request: Request) -> Any:
        began = time.perf_counter()
        with Blame(model, request):
            found = self.queue.at_once(model.pace, rows, size, call)
        if found is not LATER:
            request.phases.record("infer", time.perf_counter() - began)
        return found

    def _in_turn(
        self,
        model: LoadedModel,
        reader: Callable[[list[Any]], list[Any]],
        rows: list[Row],
        batch: Batch,
        request: Request,
    ) -> Generator[Awaited | None, None, list[Any]]:
        work = Work(
            model.manifest.name,
            model.pace,
            reader,
            rows,
            batch,
            request.caller,
            request.id,
            belonging=(request.headers, request.trace),
        )
        if not self.queue.is_short(work):
            yield None
        try:
            self.queue.enter(work)
            while not work.is_settled:
                yield work
                self.queue.give_up(work)
        finally:
            account(work, request)
        request.caller.check()
        return work.result()

    def _in_steps(self, model: LoadedModel, data: Any, parameters: dict[str, Any], request: Request) -> Any:
        """The prediction of a wrapper that streams, others between its steps; waits for them in this thread."""
        with ExitStack() as held:
            *_, (_, prediction) = self._steps(model, model.wrapper.steps(data, parameters), request, held)
        return prediction

    def _streamed(self, model: LoadedModel, question: Question, request: Request, held: ExitStack) -> Response:
        """The prediction in pieces. Raises InvalidInput, ModelError, for what fails before the first one.

        Args:
            held: kept until the last piece.
        """
        with Blame(model, request):
            pieces = model.wrapper.stream(*question.read(model.wrapper))
        events = question.events(model, self._steps(model, pieces, request, held))
        first = next(events)
        headers = headers_of(model) | {"Content-Type": question.stream_type}
        return streamed(EventStream(chain([first], events), held.pop_all(), request, question.stream_type), headers)

    def _steps(
        self, model: LoadedModel, pieces: Generator[Any, None, Any], request: Request, held: ExitStack
    ) -> Iterator[tuple[str | None, Any]]:
        """The pieces, and the ``answer``: a step at a time, so that who reads slowly keeps nobody else waiting.

        Args:
            held: closes the pieces.
        """
        told, rest = named(pieces), held.pop_all()
        held.callback(self._close, model, pieces, request.id, rest)
        found = self._step(model, lambda: next(told, None), request)
        while found is not None:
            yield found
            found = self._step(model, lambda: next(told, None), request, admitted=True)

    def _close(self, model: LoadedModel, pieces: Generator[Any, None, Any], request_id: str, held: ExitStack) -> None:
        """Closes the pieces and then what is held; does not wait long."""
        if getattr(pieces, "gi_frame", pieces) is None:
            held.close()
            return
        # Whoever hung up may still have a step running: it is closed behind that.
        closed = threading.Event()

        def close(_: list[Any]) -> list[Any]:
            try:
                pieces.close()
            finally:
                held.close()
                closed.set()
            return [None]

        work = Work(model.manifest.name, model.pace, close, [Row(None)], ALONE, Caller(), request_id)
        try:
            self.queue.enter(work, admitted=True)
        except ServingError:
            # The step is stuck.
            held.close()
            return
        self.queue.start()
        closed.wait(CLOSE_S)

    def _step(self, model: LoadedModel, call: Callable[[], Any], request: Request, *, admitted: bool = False) -> Any:
        """What the call returns, while nothing else runs; waits for that in this thread."""
        work = Work(
            model.manifest.name,
            model.pace,
            lambda _: [call()],
            [Row(None)],
            ALONE,
            request.caller,
            request.id,
            belonging=(request.headers, request.trace),
        )
        try:
            return self.queue.run(work, admitted=admitted)[0]
        finally:
            account(work, request)


def _count(prediction: Any) -> int:
    """The items of a list of predictions, or of tensors by name."""
    several = next(iter(prediction.values())) if isinstance(prediction, dict) else prediction
    return len(several) if getattr(several, "ndim", 1) else 1


def check_spoken(request: Request, speaks: str | None, who: str, wrapper: ModelWrapper | type[ModelWrapper]) -> None:
    """Refuses a route that asks for what the wrapper cannot do."""
    if speaks is not None and speaks not in wrapper.speaks:
        raise RouteNotFound(f"{who} not answer {request.route}. GET /docs lists what there is.")


def account(work: Work, request: Request) -> None:
    """Tells the time that the request waited from that in which the model ran."""
    began = work.began or time.perf_counter()
    request.phases.record("queue", began - work.asked, began)
    if work.ended:
        request.phases.record("infer", work.ended - work.began, work.ended)
