"""The functions' entry: a wrapper class in, a Cloud Function out."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from model_functions import logs, memory, process_logs, spans
from model_functions.draining import DRAIN
from model_functions.errors import AuthUnavailable, ConfigurationInvalid, ServingError
from model_functions.http import observed
from model_functions.http.message import Handle, Request, Response
from model_functions.http.termination import finish_on_sigterm
from model_functions.settings import Settings, uses_asgi
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: What a function says that anybody could ask, if it answered.
UNGUARDED = (
    "ACCESS is not set, so that nobody is let in. Set it to keys, and make one (python -m deploy keys create), "
    "or to iam for a function that is deployed privately."
)


def http_function(wrapper_class: type[ModelWrapper]) -> Callable[[Any], Any]:
    """The Cloud Function of a family."""
    from model_functions.http.function import FamilyFunction

    def make(settings: Settings) -> Handle:
        function = FamilyFunction(wrapper_class, settings)
        if settings.model_preload:
            start_after_fork(function.preload)
        return _prepared(function)

    return _function(make)


def gateway_function() -> Callable[[Any], Any]:
    """The Cloud Function that has no model: the page, and ``/predict`` for every family."""
    # Imported here: a family's function has no use for the gateway's client.
    from model_functions.http.gateway import Gateway

    return _function(lambda settings: _prepared(Gateway(settings)))


def _prepared(service: "Service") -> Handle:
    """The guard finds out who may come in while the server starts."""
    if service.guard is not None:
        # Opened now, so that its modules are imported by the time the worker starts; what is wrong is told to who asks.
        with suppress(ServingError):
            service.repository()
        start_after_fork(service.guard.prepare)
    return service.steps


def start_after_fork(call: Callable[[], None]) -> None:
    """Calls it in a thread of the worker: a thread of the master, which imports us, would not be in it."""
    master = os.getpid()

    def start() -> None:
        # Only the first fork: whatever the worker forks later has no use for it.
        if os.getppid() == master:
            threading.Thread(target=call, name="start", daemon=True).start()

    os.register_at_fork(after_in_child=start)


def _function(make: Callable[[Settings], Handle]) -> Callable[[Any], Any]:
    memory.share_freed()
    try:
        settings = Settings.from_environment()
    except ConfigurationInvalid as error:
        _log(Settings.log_level)
        return _at_its_edge(_refusing(error), Settings(model_store="", use_asgi=uses_asgi(os.environ)))
    _log(settings.log_level, inputs=settings.log_inputs)
    if settings.access_demanded and not settings.access:
        return _at_its_edge(_refusing(AuthUnavailable(UNGUARDED)), settings)
    return _at_its_edge(make(settings), settings)


def _log(level: str, *, inputs: bool = False) -> None:
    logs.configure(level, inputs=inputs)
    process_logs.take_over()
    spans.configure()


def _at_its_edge(handle: Handle, settings: Settings) -> Callable[[Any], Any]:
    finish_on_sigterm(DRAIN)
    # Imported here: the one edge does without what the other needs.
    if not settings.use_asgi:
        from model_functions.http.flask_edge import flask_function

        observed.collect_of_threads()
        return flask_function(handle)
    from model_functions.http.asgi_edge import asgi_function

    return asgi_function(
        handle,
        threads=settings.threads,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
    )


def _refusing(error: ServingError) -> Handle:
    """Answers everything but health with the error: an instance that dies at import says nothing to anybody."""
    from model_functions.http import errors
    from model_functions.http.front_door import FrontDoor
    from model_functions.http.routes import Route, Routes
    from model_functions.http.service import health
    from model_functions.metrics import Metrics

    def refuse(request: Request) -> Response:
        raise error

    class Refusing(Routes):
        def find(self, request: Request) -> Route:
            if request.path == "/health":
                return super().find(request)
            return Route("other", {"GET": refuse, "POST": refuse}, errors.refuse, {})

    return FrontDoor(Refusing({"/health": {"GET": health}}), Metrics()).steps
