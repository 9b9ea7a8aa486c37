"""Requests as an edge would make them."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from model_functions.http.message import Request, Response


def request(
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    target: str = "/predict",
    read: Callable[[int], bytes] | None = None,
) -> Request:
    path, _, query = target.partition("?")
    given = {"content-length": str(len(body))} | (headers or {}) if body else dict(headers or {})
    return Request(
        method=method,
        path=path,
        query=parse_qsl(query, keep_blank_values=True),
        headers=given,
        read=read or io.BytesIO(body).read,
        target_length=len(target),
    )


def post(value: Any, target: str = "/predict") -> Request:
    return request(json.dumps(value).encode(), target=target)


def get(target: str, headers: dict[str, str] | None = None) -> Request:
    return request(b"", headers, method="GET", target=target)


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, str]:
    """A multipart form and its Content-Type.

    Args:
        parts: name, file name or None, data.
    """
    lines = []
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'--bound\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        lines.append(head.encode() + data + b"\r\n")
    return b"".join(lines) + b"--bound--\r\n", "multipart/form-data; boundary=bound"


def body(response: Response) -> Any:
    return json.loads(response.body)


def message(response: Response) -> str:
    text: str = body(response)["error"]["message"]
    return text


def accepted(document: Any, path: str = "/predict", media: str = "application/json") -> dict[str, Any]:
    """The schema of what a POST to the path takes, with what it refers to."""
    content = document["paths"][path]["post"]["requestBody"]["content"]
    return {**content[media]["schema"], "components": document["components"]}
