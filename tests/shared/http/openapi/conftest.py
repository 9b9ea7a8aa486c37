"""Functions of every family over described_models, and what they say of themselves."""

import io
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from model_functions.http.function import FamilyFunction
from model_functions.http.gateway import Gateway
from model_functions.http.message import Request, Response
from model_functions.http.service import Service
from model_functions.settings import Settings
from model_functions.wrapper import ModelWrapper
from tests.described_models import FAMILIES
from tests.shared.http.requests import body, get


@pytest.fixture(scope="session")
def described_settings(described_store: Path, trust_file: Path) -> Settings:
    return Settings.from_environment(
        {"MODEL_STORE": str(described_store), "MODEL_TRUST": str(trust_file), "FUNCTIONS_URL": "http://functions"}
    )


@pytest.fixture(scope="session")
def functions(described_settings: Settings) -> dict[str, FamilyFunction]:
    return {family: FamilyFunction(_wrapper_class(family), described_settings) for family in FAMILIES}


@pytest.fixture(params=[*FAMILIES, "gateway"])
def service(
    request: pytest.FixtureRequest,
    functions: dict[str, FamilyFunction],
    described_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Service:
    """A function of each family, and the gateway before them all."""
    if request.param != "gateway":
        return functions[request.param]
    gateway = Gateway(described_settings)
    # The functions' own client has tests of its own: here they are asked without a network between.
    monkeypatch.setattr(gateway.functions(), "ask", _asking(functions))
    return gateway


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = body(service.handle(get("/openapi.json")))
    return found


def _asking(functions: dict[str, FamilyFunction]) -> Callable[[str, Request, bytes], Response]:
    def ask(family: str, request: Request, sent: bytes) -> Response:
        inner = Request(request.method, request.path, request.query, request.headers, read=io.BytesIO(sent).read)
        return functions[family].handle(inner)

    return ask


def _wrapper_class(family: str) -> type[ModelWrapper]:
    module = import_module(f"model_functions.families.{family}")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ModelWrapper) and vars(value).get("family") == family
    )


def resolved(document: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in given:
        return given
    _, _, kind, name = given["$ref"].split("/")
    found: dict[str, Any] = document["components"][kind][name]
    return found
