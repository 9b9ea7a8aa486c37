"""OpenAI's API: chats, completions and embeddings, at ``/v1`` and for each model at ``/models/NAME/v1``.

Sources: openai-python, src/openai/types, _streaming.py, _base_client.py. Fields of the API that could change nothing
here are let pass; those that ask for what no model here does are refused. What else stands beside them, as
``extra_body`` puts it there, is a parameter of the model.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ServingError
from model_functions.http import errors
from model_functions.http.message import Request, Response
from model_functions.http.protocols.openai_embeddings import read_embedding
from model_functions.http.protocols.openai_fields import RENAMED, fields_of
from model_functions.http.protocols.openai_generation import read_chat, read_completion
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Question
from model_functions.http.routes import Table

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: What ``data`` is called, by how a path ends.
_DATA = {"chat/completions": "messages", "completions": "prompt", "embeddings": "input"}


def routes(service: "Service") -> Table:
    limit = service.settings.max_body_bytes

    def asking(read: Callable[[dict[str, Any], str], Question], speaks: str) -> Any:
        return {"POST": service.predicting(lambda request: read(fields_of(request, limit), request.id), speaks)}

    handlers = {
        "chat/completions": asking(read_chat, "openai_chat"),
        "completions": asking(read_completion, "openai_completions"),
        "embeddings": asking(read_embedding, "openai_embeddings"),
    }
    return {f"{base}/v1/{path}": own for base in ("", "/models/{model}") for path, own in handlers.items()}


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error": {"message", "type", "param", "code"}}``, in this API's words."""
    status = errors.status_of(error)
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    data = next((name for path, name in _DATA.items() if request.route.endswith(f"/v1/{path}")), "data")
    param = in_words(error.path, data, RENAMED) if isinstance(error, InvalidInput) else ""
    message = in_words(error.message, data, RENAMED)
    told = {"message": message, "type": kind, "param": param or None, "code": error.code}
    headers = errors.headers_of(error)
    if "Retry-After" in headers:
        headers["Retry-After-Ms"] = str(int(headers["Retry-After"]) * 1000)
    elif status >= 500:
        # Its clients would ask again, and get the same.
        headers["X-Should-Retry"] = "false"
    return Response.json({"error": told}, status, headers)
