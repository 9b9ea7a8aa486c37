"""Errors as answers: one record, rendered in the shape of ``/predict``."""

from http import HTTPStatus
from typing import Any

from model_functions.errors import ServingError
from model_functions.http.message import Request, Response


def render(error: ServingError, request_id: str) -> Response:
    """``{"error": {"code", "message", "status", "request_id", "details"?}}``, and ``X-Error-Code``."""
    record: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "status": error.status,
        "request_id": request_id,
    }
    if error.details:
        record["details"] = error.details
    body: dict[str, Any] = {"error": record}
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        # Callers of the first version of /predict look for this key.
        body["405"] = "Method Not Allowed"
    return Response.json(body, error.status, {"X-Error-Code": error.code} | error.headers)


def refuse(error: ServingError, request: Request) -> Response:
    return render(error, request.id)
