"""The document for people."""

from typing import Any

from model_functions.http import pages
from model_functions.http.message import Response


def docs(document: dict[str, Any]) -> Response:
    return pages.docs(document)
