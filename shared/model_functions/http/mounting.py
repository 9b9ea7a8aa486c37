"""A function inside a site that somebody runs already: an application for WSGI or ASGI, or URLs for Django.

Its settings are the environment's, but for those that are given. What cannot work is raised: here somebody is there to
read it.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_functions import logs
from model_functions.http.asgi_edge import Application as AsgiApplication
from model_functions.http.asgi_edge import AsgiEdge
from model_functions.http.message import Handle
from model_functions.http.wsgi_edge import Application as WsgiApplication
from model_functions.http.wsgi_edge import wsgi_edge
from model_functions.settings import Settings
from model_functions.wrapper import ModelWrapper


def wsgi_application(wrapper_class: type[ModelWrapper] | None = None, **given: Any) -> WsgiApplication:
    """For gunicorn and its like, and for what mounts WSGI.

    Args:
        wrapper_class: of the family; without one it is the gateway.
        given: fields of Settings, as ``model_store="gs://my-models"``.
    """
    return wsgi_edge(_handle(wrapper_class, _settings(given)))


def asgi_application(wrapper_class: type[ModelWrapper] | None = None, **given: Any) -> AsgiApplication:
    """For uvicorn and its like, and for what mounts ASGI, as Starlette and FastAPI do. The arguments are the same."""
    settings = _settings(given)
    edge = AsgiEdge(
        _handle(wrapper_class, settings), settings.threads, settings.max_body_bytes, settings.body_timeout_s
    )
    return edge.serve


def django_urls(wrapper_class: type[ModelWrapper] | None = None, **given: Any) -> list[Any]:
    """For Django's ``include``, under WSGI and ASGI. The arguments are the same."""
    # Imported here: other sites do not have it.
    from model_functions.http.django_edge import urls

    return urls(_handle(wrapper_class, _settings(given)))


def _handle(wrapper_class: type[ModelWrapper] | None, settings: Settings) -> Handle:
    # Imported here: the one has no use for what the other needs.
    if wrapper_class is None:
        from model_functions.http.gateway import Gateway

        return Gateway(settings).steps
    from model_functions.http.function import FamilyFunction

    return FamilyFunction(wrapper_class, settings).steps


def _settings(given: dict[str, Any]) -> Settings:
    environment = dict(os.environ)
    if "model_store" in given:
        # What the environment lacks is not missed.
        environment["MODEL_STORE"] = given["model_store"] = str(given["model_store"])
    if "trust_file" in given:
        given["trust_file"] = Path(given["trust_file"])
    logs.leave_to_the_site()
    return replace(Settings.from_environment(environment), **given)
