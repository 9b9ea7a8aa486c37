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


@pytest.mark.parametrize("step", DEPLOYMENTS, ids=lambda step: step["id"])
def test_gcloud_accepts_the_command_and_the_flags(step: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what judges its own commands")
    family = step["id"].removeprefix("deploy-").replace("-", "_")
    flags = yaml.safe_load((ROOT / "functions" / family / "flags.yaml").read_text())
    spelled = " ".join(spell(flag, value) for flag, value in flags.items())
    command = step["script"].replace('"', "").replace("$_REGION", "us-central1").replace("$PROJECT_ID", "demo")
    command = re.sub(r"--flags-file=\S+", spelled, command).replace("$_MODEL_STORE", "gs://models")
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--command-string={command}"],
        env={"CLOUDSDK_CONFIG": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    [verdict] = json.loads(done.stdout)
    assert verdict["success"], verdict["error_message"]


def spell(flag: str, value: Any) -> str:
    """A flag of flags.yaml as it stands on a command line."""
    if value is True:
        return flag
    if isinstance(value, dict):
        value = ",".join(f"{key}={item}" for key, item in value.items())
    return f"{flag}={value}"
