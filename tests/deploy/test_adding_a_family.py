"""The family of families/README.md, added to a copy of the project: everything picks it up, no list is edited."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.project import ROOT, SHARED
from tests.running import Process, call, clean_environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the family's four files, as the README spells them."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("functions", "shared", "deploy"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (SHARED / "families" / "README.md").read_text()
    files = re.findall(r"```\w+\n# (\S+)\n(.*?)```", text, re.DOTALL)
    assert len(files) == 4
    for name, content in files:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(content)
    (copy / "loud.shout").write_text("!")
    return copy


def deploy(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", *arguments],
        cwd=project,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_family_is_recognised_published_staged_and_served(project: Path) -> None:
    told = deploy(project, "publish", "loud.shout", "--name", "loud", "--example", "hello")
    assert told.startswith("loud.shout is recognised as shouting: its name ends in .shout.\nshouting/loud is published")
    assert "Verified: a function serves it" in deploy(project, "verify", "loud")
    assert "staged" in deploy(project, "stage", "shouting")
    assert (project / "build" / "shouting" / "model_functions" / "families" / "shouting.py").is_file()
    assert "shouting" in deploy(project, "publish", "--help")
    command = [sys.executable, "-m", "deploy", "emulate", "--port", "0"]
    emulator = Process(command, project, clean_environment())
    try:
        url = emulator.wait_for("Ready").split()[1]
        asked = json.dumps({"model_name": "loud", "data": ["a", "b"], "parameters": {"times": 2}}).encode()
        answer = json.loads(call(f"{url}/predict", asked, "POST").body)
        assert answer["body"] == [{"shout": "A!!"}, {"shout": "B!!"}]
        wrong = call(f"{url}/predict", json.dumps({"model_name": "loud", "data": 5}).encode(), "POST")
        assert (wrong.status, json.loads(wrong.body)["error"]["message"]) == (
            422,
            "data is a number. Send a string, or a list of strings.",
        )
        [model] = json.loads(call(f"{url}/", accept="application/json").body)["models"]
        assert (model["model_name"], model["function"], model["kind"]) == ("loud", "shouting", "text")
        schema = json.loads(call(f"{url}/openapi.json").body)["paths"]["/predict"]["post"]["requestBody"]
        assert "loud" in schema["content"]["application/json"]["examples"]
        assert b"loud" in call(f"{url}/docs").body
        assert b"How many marks stand at its end." in call(f"{url}/shouting/", accept="text/html").body
    finally:
        emulator.stop()
