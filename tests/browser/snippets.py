"""Runs what the page writes as code: by the shell, by Python where the client is installed, in the browser itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from deploy.environments import made
from deploy.project import ROOT
from tests.browser.playground import PATIENCE_S, Playground

#: Clients that live in an environment of the conformance suite.
_ENVIRONMENTS = {"OpenAI": "language", "Hugging Face": "language", "Triton": "tensors", "KServe": "kserve"}

#: Runs a snippet for each line of its input, [FOLDER, FILE]; tells what it printed, and what it left in ``answer``.
_INTERPRETER = """
import contextlib, io, json, os, runpy, sys, traceback

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

for line in sys.stdin:
    folder, file = json.loads(line)
    os.chdir(folder)
    told = {"answer": None, "error": None}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            told["answer"] = plain(runpy.run_path(file)["answer"])
        except Exception:
            told["error"] = traceback.format_exc()
    print(json.dumps(told | {"printed": printed.getvalue()}, default=lambda _: None), flush=True)
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
    command = ["bash", str(script)]
    done = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return done.stdout


class Interpreters:
    """A Python for each client, which keeps what it has imported from one snippet to the next."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[str]] = {}

    def run(self, client: str, code: str, folder: Path) -> Ran:
        script = folder / "snippet.py"
        script.write_text(code)
        process = self._of(_python(client))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(folder), str(script)]) + "\n")
        process.stdin.flush()
        told = json.loads(process.stdout.readline())
        assert told["error"] is None, f"{told['error']}\n{code}"
        return Ran(told["printed"], told["answer"])

    def close(self) -> None:
        for process in self._running.values():
            process.communicate(timeout=PATIENCE_S)

    def _of(self, python: str) -> "subprocess.Popen[str]":
        if python not in self._running:
            self._running[python] = subprocess.Popen(
                [python, "-W", "ignore", "-c", _INTERPRETER],
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._running[python]


def run_in_the_browser(page: Playground, code: str) -> list[Any]:
    """What the code says on the console."""
    page.driver.set_script_timeout(PATIENCE_S)
    said: list[Any] = json.loads(page.driver.execute_async_script(_IN_THE_BROWSER % code))
    return said


def _python(client: str) -> str:
    group = _ENVIRONMENTS.get(client)
    return sys.executable if group is None else str(made(ROOT / "tests/conformance" / group) / "bin/python")


def _environment() -> dict[str, str]:
    return os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
