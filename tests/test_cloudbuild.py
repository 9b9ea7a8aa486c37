"""cloudbuild.yaml: its schema, its references, and gcloud's own opinion of its commands."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BUILD: dict[str, Any] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
DEPLOYMENTS = [step for step in BUILD["steps"] if step["id"].startswith("deploy-")]


def test_it_has_the_schema_of_cloud_build() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.cloudbuild", str(ROOT / "cloudbuild.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_steps_wait_for_steps_there_are() -> None:
    ids = [step["id"] for step in BUILD["steps"]]
    assert len(ids) == len(set(ids))
    for index, step in enumerate(BUILD["steps"]):
        assert set(step.get("waitFor", [])) <= set(ids[:index])


def test_every_substitution_is_defined() -> None:
    used = {name for step in BUILD["steps"] for name in re.findall(r"\$\{?(_[A-Z_]+)", step["script"])}
    assert used == set(BUILD["substitutions"])


def test_every_function_is_deployed_under_its_own_name() -> None:
    families = {path.parent.name for path in (ROOT / "functions").glob("*/main.py")}
    assert {step["id"].removeprefix("deploy-").replace("-", "_") for step in DEPLOYMENTS} == families
    for step in DEPLOYMENTS:
        name = step["id"].removeprefix("deploy-")
        assert f"gcloud functions deploy {name} --source=build/{name.replace('-', '_')} " in step["script"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What gcloud says of each deployment, by its step; asked of all at once, for it starts slowly."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what judges its own commands")
    folder = tmp_path_factory.mktemp("gcloud")
    commands = [{"id": step["id"], "command_string": command(step)} for step in DEPLOYMENTS]
    (folder / "commands.json").write_text(json.dumps(commands))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={folder / 'commands.json'}"],
        env={"CLOUDSDK_CONFIG": str(folder), "PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    said = {verdict["command_string"]: verdict for verdict in json.loads(done.stdout)}
    return {one["id"]: said[one["command_string"]] for one in commands}


@pytest.mark.parametrize("step", [step["id"] for step in DEPLOYMENTS])
def test_gcloud_accepts_the_command_and_the_flags(step: str, verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts[step]["success"], verdicts[step]["error_message"]


def command(step: dict[str, Any]) -> str:
    """The step's command with the flags of its function spelled out."""
    family = step["id"].removeprefix("deploy-").replace("-", "_")
    flags = yaml.safe_load((ROOT / "functions" / family / "flags.yaml").read_text())
    spelled = " ".join(spell(flag, value) for flag, value in flags.items())
    written: str = step["script"].replace('"', "").replace("$_REGION", "us-central1").replace("$PROJECT_ID", "demo")
    return re.sub(r"--flags-file=\S+", spelled, written).replace("$_MODEL_STORE", "gs://models")


def spell(flag: str, value: Any) -> str:
    """A flag of flags.yaml as it stands on a command line."""
    if value is True:
        return flag
    if isinstance(value, dict):
        value = ",".join(f"{key}={item}" for key, item in value.items())
    return f"{flag}={value}"
