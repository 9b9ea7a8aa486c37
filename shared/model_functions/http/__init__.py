"""The functions' entry: a wrapper class in, a Cloud Function out."""

from collections.abc import Callable
from typing import Any

from model_functions import logs
from model_functions.errors import ConfigurationInvalid, ServingError
from model_functions.http.flask_edge import Handle, flask_function
from model_functions.http.message import Request, Response
from model_functions.settings import Settings
from model_functions.wrapper import ModelWrapper


def http_function(wrapper_class: type[ModelWrapper]) -> Callable[[Any], Any]:
    """The Cloud Function of a family."""
    from model_functions.http.function import FamilyFunction

    return _function(lambda settings: FamilyFunction(wrapper_class, settings).handle)


def gateway_function() -> Callable[[Any], Any]:
    """The Cloud Function that has no model: the page, and ``/predict`` for every family."""
    # Imported here: a family's function has no use for the gateway's client.
    from model_functions.http.gateway import Gateway

    return _function(lambda settings: Gateway(settings).handle)


def _function(make: Callable[[Settings], Handle]) -> Callable[[Any], Any]:
    try:
        settings = Settings.from_environment()
    except ConfigurationInvalid as error:
        logs.configure(Settings.log_level)
        return flask_function(_refusing(error))
    logs.configure(settings.log_level)
    return flask_function(make(settings))


def _refusing(error: ServingError) -> Handle:
    """Answers everything but health with the error: an instance that dies at import says nothing to anybody."""
    from model_functions.http.front_door import FrontDoor
    from model_functions.http.service import health
    from model_functions.metrics import Metrics

    def refuse(request: Request) -> Response:
        raise error

    paths = ("/", "/predict", "/warmup", "/ready", "/metrics", "/openapi.json", "/docs")
    routes = {path: {"GET": refuse, "POST": refuse} for path in paths}
    routes["/health"] = {"GET": health}
    return FrontDoor(routes, Metrics()).handle
