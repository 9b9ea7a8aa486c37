"""``/predict_proxy``: what the page of the first version posted its form to."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from model_functions.http import errors
from model_functions.http.body import media_type, read_body, read_json
from model_functions.http.message import Request
from model_functions.http.prediction import FORM, PredictionRequest, from_form, from_json, from_query
from model_functions.http.protocols.bodies import URLENCODED, looks_like_json
from model_functions.http.routes import Table

if TYPE_CHECKING:
    from model_functions.http.service import Service

refuse = errors.refuse


def routes(service: "Service") -> Table:
    return {"/predict_proxy": {"POST": service.predicting(lambda asked: read(asked, service.settings.max_body_bytes))}}


def read(request: Request, limit: int) -> PredictionRequest:
    """A form with ``model_name`` and ``data``, or the same as JSON; the other fields are parameters."""
    kind, body = media_type(request), read_body(request, limit)
    if kind == FORM:
        return _from_parts(request, body, limit)
    if kind == URLENCODED and not looks_like_json(body):
        return from_query(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return from_json(read_json(request, limit, [FORM]))


def _from_parts(request: Request, body: bytes, limit: int) -> PredictionRequest:
    # Imported here: other bodies have no use for it.
    from model_functions.http.form import read_form

    parts = read_form(body, request.headers["content-type"])
    if any(part.filename is not None for part in parts):
        return from_form(request, limit)
    return from_query([(part.name, part.data.decode(errors="replace")) for part in parts])
