"""The functions' entry: a wrapper class in, a Cloud Function out."""

import os
import threading
from collections.abc import Callable
from typing import Any

from model_functions import logs, process_logs, spans
from model_functions.errors import ConfigurationInvalid, ServingError
from model_functions.http.message import Handle, Request, Response
from model_functions.settings import Settings, uses_asgi
from model_functions.wrapper import ModelWrapper


def http_function(wrapper_class: type[ModelWrapper]) -> Callable[[Any], Any]:
    """The Cloud Function of a family."""
    from model_functions.http.function import FamilyFunction

    def make(settings: Settings) -> Handle:
        function = FamilyFunction(wrapper_class, settings)
        if settings.model_preload:
            preload_after_fork(function.preload)
        return function.steps

    return _function(make)


def gateway_function() -> Callable[[Any], Any]:
    """The Cloud Function that has no model: the page, and ``/predict`` for every family."""
    # Imported here: a family's function has no use for the gateway's client.
    from model_functions.http.gateway import Gateway

    return _function(lambda settings: Gateway(settings).steps)


def preload_after_fork(preload: Callable[[], None]) -> None:
    """Calls ``preload`` in a thread of the worker: a thread of the master, which imports us, would not be in it."""
    master = os.getpid()

    def start() -> None:
        # Only the first fork: whatever the worker forks later has no use for a model.
        if os.getppid() == master:
            threading.Thread(target=preload, name="preload", daemon=True).start()

    os.register_at_fork(after_in_child=start)


def _function(make: Callable[[Settings], Handle]) -> Callable[[Any], Any]:
    try:
        settings = Settings.from_environment()
    except ConfigurationInvalid as error:
        _log(Settings.log_level)
        return _at_its_edge(_refusing(error), Settings(model_store="", use_asgi=uses_asgi(os.environ)))
    _log(settings.log_level, inputs=settings.log_inputs)
    return _at_its_edge(make(settings), settings)


def _log(level: str, *, inputs: bool = False) -> None:
    logs.configure(level, inputs=inputs)
    process_logs.take_over()
    spans.configure()


def _at_its_edge(handle: Handle, settings: Settings) -> Callable[[Any], Any]:
    # Imported here: the one edge does without what the other needs.
    if not settings.use_asgi:
        from model_functions.http.flask_edge import flask_function

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
