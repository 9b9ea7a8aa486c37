"""Errors as answers: what is the same in every protocol, and the shape of ``/predict``."""

from http import HTTPStatus
from typing import Any

from model_functions.errors import InvalidInput, ServingError
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
    return refused(error, body)


def refused(error: ServingError, body: dict[str, Any], status: int | None = None) -> Response:
    """The error in the words of a protocol, with the code and the headers that it has in all.

    Args:
        status: None: the error's own.
    """
    return Response.json(body, error.status if status is None else status, headers_of(error))


def headers_of(error: ServingError) -> dict[str, str]:
    return {"X-Error-Code": error.code} | error.headers


def status_of(error: ServingError) -> int:
    """The error's status where a protocol knows no 422."""
    return 400 if isinstance(error, InvalidInput) else error.status


def refuse(error: ServingError, request: Request) -> Response:
    return render(error, request.id)
