"""A cold start in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from model_functions.repository import Repository

ROOT = Path(__file__).parents[1]


def modules_of_warmup(wrapper: str, repository: Repository, trust_file: Path) -> set[str]:
    """The top-level modules that are imported once the repository's only model of the wrapper's family has predicted.

    Args:
        wrapper: ``module:name`` of its class.
    """
    module, _, name = wrapper.partition(":")
    code = (
        "import sys, json\n"
        f"from {module} import {name}\n"
        "from model_functions.http.function import FamilyFunction\n"
        "from model_functions.http.message import Request\n"
        "from model_functions.settings import Settings\n"
        f"function = FamilyFunction({name}, Settings.from_environment())\n"
        "response = function.handle(Request('POST', '/warmup', [], {}, lambda size: b''))\n"
        "names = sorted(name for name in sys.modules if '.' not in name)\n"
        "print(response.body.decode(), json.dumps([response.status, names]), sep='\\n')\n"
    )
    environment = {"MODEL_STORE": str(repository.store.root), "MODEL_TRUST": str(trust_file)}  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT / "shared")},
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 200, done.stdout
    return set(modules)
