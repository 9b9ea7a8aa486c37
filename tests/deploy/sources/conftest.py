"""Asks what was published from a source."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.project import wrapper_class
from model_functions.artifact.signing_key import SigningKey
from model_functions.http.function import FamilyFunction
from model_functions.settings import Settings


@pytest.fixture
def function(workshop: Path) -> Callable[[str], FamilyFunction]:
    """The family's function over the workshop's store."""

    def made(family: str) -> FamilyFunction:
        key = SigningKey.read(workshop / "keys" / "local.pem").trusted("the workshop", local=True)
        (workshop / "trust.json").write_text(json.dumps({"keys": [key.entry()]}))
        environment = {"MODEL_STORE": str(workshop / "store"), "MODEL_TRUST": str(workshop / "trust.json")}
        return FamilyFunction(wrapper_class(family), Settings.from_environment(environment))

    return made
