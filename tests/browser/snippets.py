"""Runs what the page writes as code: by the shell, by Python where the client is installed, in the browser itself."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.environments import made
from deploy.project import ROOT
from tests.browser.playground import PATIENCE_S, Playground

#: Clients that live in an environment of the conformance suite.
_ENVIRONMENTS = {"OpenAI": "language", "Hugging Face": "language", "Triton": "tensors", "KServe": "kserve"}

#: Tells what a snippet left in ``answer``, behind what it said itself.
_TELL = """
import json, runpy, sys

def plain(value):
    if hasattr(value, "iter_lines"):
        return None if "event-stream" in value.headers["Content-Type"] else value.json()
    for name in ("model_dump", "tolist"):
        if hasattr(value, name):
            return plain(getattr(value, name)())
    if hasattr(value, "as_numpy"):
        return {one["name"]: plain(value.as_numpy(one["name"])) for one in value.get_response()["outputs"]}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, bytes):
        return value.decode()
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

found = runpy.run_path(sys.argv[1])["answer"]
sys.stdout.write("\\0" + json.dumps(plain(found), default=lambda _: None))
"""

_IN_THE_BROWSER = """
    const done = arguments[0];
    const said = [];
    const log = console.log;
    console.log = (value) => said.push(value);
    (async () => { %s })().then(() => done(JSON.stringify(said)), (reason) => done(String(reason)))
        .finally(() => { console.log = log; });
"""


class Ran(NamedTuple):
    """What a snippet printed, and what its ``answer`` was."""

    printed: str
    answer: Any


def run_shell(code: str, folder: Path) -> str:
    """What the command prints; from a file, because it may be longer than an argument can."""
    script = folder / "snippet.sh"
    script.write_text(code)
    return _run(["bash", str(script)], folder)


def run_python(client: str, code: str, folder: Path) -> Ran:
    script, tell = folder / "snippet.py", folder / "tell.py"
    script.write_text(code)
    tell.write_text(_TELL)
    printed, _, answer = _run([_python(client), str(tell), str(script)], folder).partition("\0")
    return Ran(printed, json.loads(answer))


def run_in_the_browser(page: Playground, code: str) -> list[Any]:
    """What the code says on the console."""
    page.driver.set_script_timeout(PATIENCE_S)
    said: list[Any] = json.loads(page.driver.execute_async_script(_IN_THE_BROWSER % code))
    return said


def _python(client: str) -> str:
    group = _ENVIRONMENTS.get(client)
    return sys.executable if group is None else str(made(ROOT / "tests/conformance" / group) / "bin/python")


def _run(command: Sequence[str], folder: Path) -> str:
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout
