"""The Flask edge, functions-framework's default; the only module that imports flask."""

import io
from collections.abc import Callable

import flask

from model_functions.http.message import Handle, finished
from model_functions.http.wsgi_edge import drop, read_request


def flask_function(handle: Handle) -> Callable[[flask.Request], flask.Response]:
    """A target for functions-framework, which demands a plain function."""

    def predict(request: flask.Request) -> flask.Response:
        # Read by us, block by block: Flask's own readers hold a refused body in memory whole.
        read = request.stream.read
        response = finished(handle(read_request(request.environ, read)))
        # The framework reads on, into memory, before anything is sent.
        request.stream = io.BytesIO()
        # Flask closes the chunks when the server does, whether all were sent or not.
        body, streams = (response.body, False) if response.chunks is None else (response.chunks, True)
        made = flask.Response(body, response.status, response.headers, direct_passthrough=streams)
        if "Content-Type" not in response.headers:
            del made.headers["Content-Type"]
        # Now that the answer is on the way.
        made.call_on_close(lambda: drop(read))
        return made

    return predict
