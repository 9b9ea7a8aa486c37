"""The least that a function can do by Flask: it answers its body."""

import flask


def predict(request: flask.Request) -> flask.Response:
    return flask.Response(request.get_data(), content_type="application/json")
