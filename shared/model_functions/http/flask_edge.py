"""The Flask edge, functions-framework's default; the only module that imports flask."""

from collections.abc import Callable
from contextlib import suppress

import flask

from model_functions.http.body import BLOCK
from model_functions.http.message import Handle, finished
from model_functions.http.wsgi_edge import read_request


def flask_function(handle: Handle) -> Callable[[flask.Request], flask.Response]:
    """A target for functions-framework, which demands a plain function."""

    def predict(request: flask.Request) -> flask.Response:
        # Read by us, block by block: Flask's own readers hold a refused body in memory whole. But through its stream:
        # the framework reads on in it when we are done, and it must know how far we came.
        response = finished(handle(read_request(request.environ, request.stream.read)))
        _drop(request)
        if response.chunks is None:
            return flask.Response(response.body, response.status, response.headers)
        # Flask closes the chunks when the server does, whether all were sent or not.
        return flask.Response(response.chunks, response.status, response.headers, direct_passthrough=True)

    return predict


def _drop(request: flask.Request) -> None:
    """Reads what is left of the body of a request that was refused: the framework would, into memory."""
    with suppress(Exception):
        while request.stream.read(BLOCK):
            pass
