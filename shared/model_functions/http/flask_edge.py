"""The Flask edge, functions-framework's default; the only module that imports flask."""

from collections.abc import Callable

import flask

from model_functions.http.message import Handle, Request, finished


def flask_function(handle: Handle) -> Callable[[flask.Request], flask.Response]:
    """A target for functions-framework, which demands a plain function."""

    def predict(request: flask.Request) -> flask.Response:
        response = finished(handle(_request(request)))
        if response.chunks is None:
            return flask.Response(response.body, response.status, response.headers)
        # Flask closes the chunks when the server does, whether all were sent or not.
        return flask.Response(response.chunks, response.status, response.headers, direct_passthrough=True)

    return predict


def _request(request: flask.Request) -> Request:
    # The stream is read by us, block by block: Flask's own readers hold a refused body in memory whole.
    return Request(
        method=request.method,
        path=request.path,
        query=list(request.args.items(multi=True)),
        headers={name.lower(): value for name, value in request.headers.items()},
        read=request.stream.read,
        target_length=len(request.environ.get("RAW_URI", request.full_path)),
    )
