"""A control plane, and a way to ask it without gcloud."""

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.running import call

Asking = Callable[..., tuple[int, dict[str, Any]]]

REGION = "us-central1"
PLACE = f"projects/demo-project/locations/{REGION}"
MAIN = """\
import os
import functions_framework

@functions_framework.http
def handle(request):
    if request.path == "/token":
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token
        return fetch_id_token(Request(), "https://example.com")
    said = {"path": request.path, "authorization": request.headers.get("Authorization", "")}
    return said | {name: os.environ[name] for name in ("GREETING", "K_SERVICE", "K_REVISION")}
"""


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """With all APIs on; functions start at their first request."""
    with ControlPlane(apis="all", probes=False) as made:
        yield made


@pytest.fixture
def ask(plane: ControlPlane) -> Asking:
    return asking(plane)


def asking(plane: ControlPlane) -> Asking:
    """Asks as gcloud does; ``account`` is who asks."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": plane.proxy}))

    def ask(
        method: str, path: str, body: dict[str, Any] | None = None, account: str = "", host: str = "gcp.test"
    ) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        token = plane.accounts.access_token(account or plane.owner)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{host}/{path}", data, headers, method=method)
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())["error"]

    return ask


def zipped(**files: str) -> bytes:
    """Source as gcloud uploads it; a file's ending is told from its name."""
    names = {"main": "main.py", "requirements": "requirements.txt"}
    given = {"main": MAIN, "requirements": "functions-framework==3.10.2\n"} | files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in given.items():
            if text:
                archive.writestr(names.get(name, name), text)
    return buffer.getvalue()


def finished(ask: Asking, operation: dict[str, Any], api: str = "cloudfunctions/v2") -> dict[str, Any]:
    """The operation at its end, after as many polls as it takes."""
    while not operation["done"]:
        status, operation = ask("GET", f"{api}/{operation['name']}")
        assert status == 200
    return operation


def deploy(
    plane: ControlPlane,
    ask: Asking,
    name: str = "hello",
    source: bytes = b"",
    service: dict[str, Any] | None = None,
    **build: Any,
) -> dict[str, Any]:
    """The operation at its end."""
    status, upload = ask("POST", f"cloudfunctions/v2/{PLACE}/functions:generateUploadUrl", {})
    assert status == 200
    assert call(upload["uploadUrl"], source or zipped(), method="PUT").status == 200
    body = {
        "buildConfig": {
            "runtime": "python311",
            "entryPoint": "handle",
            "source": {"storageSource": upload["storageSource"]},
            **build,
        },
        "serviceConfig": {"availableMemory": "512Mi", "environmentVariables": {"GREETING": "hi"}, **(service or {})},
    }
    path = f"cloudfunctions/v2/{PLACE}/functions"
    is_new = ask("GET", f"{path}/{name}")[0] == 404
    status, operation = (
        ask("POST", f"{path}?functionId={name}", body) if is_new else ask("PATCH", f"{path}/{name}", body)
    )
    assert status == 200, operation
    return finished(ask, operation)
