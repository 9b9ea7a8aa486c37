"""cloudbuild.yaml, run here as the deployer: a function is really deployed into the control plane, and pinged.

Two steps have another script here. "unpack" copies two gigabytes of gcloud, and here links them; "test" is `make test`,
which this test is a part of.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from tests import tiny_models
from tests.fakes.control_plane import ControlPlane
from tests.local_build import LocalBuild
from tests.running import call

pytestmark = pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what deploys"
)

ROOT = Path(__file__).parents[2]
INSTEAD = {
    "unpack": """mkdir -p build
        ln -s "$(gcloud info --format='value(installation.sdk_root)')" build/google-cloud-sdk
        echo none >build/environments.key""",
    "test": ".venv/bin/python -m deploy --help",
}
DEPLOYER = "model-deployer@demo-project.iam.gserviceaccount.com"


@pytest.fixture
def workspace(tmp_path: Path, trust_file: Path) -> Path:
    """A checkout, of a project with one family that is pinged."""
    folder = tmp_path / "workspace"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("the tree is no git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    settings = yaml.safe_load((folder / "deploy" / "deploy.yaml").read_text())
    settings["canary"]["seconds"] = 5
    (folder / "deploy" / "deploy.yaml").write_text(yaml.safe_dump(settings | {"families": ["tabular"]}))
    (folder / "functions" / "tabular" / "warmup.yaml").write_text('--schedule: "*/5 * * * *"\n')
    shutil.copy(trust_file, folder / "deploy" / "trust.json")
    # The tests' key is of a laptop, and is to count in production here.
    keys = json.loads((folder / "deploy" / "trust.json").read_text())
    for key in keys["keys"]:
        key.pop("local", None)
    (folder / "deploy" / "trust.json").write_text(json.dumps(keys))
    return folder


@pytest.fixture
def plane(workspace: Path) -> Iterator[ControlPlane]:
    with ControlPlane() as made:
        done = verb(workspace, made.environment, "bootstrap")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


def verb(workspace: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [".venv/bin/python", "-m", "deploy", *words]
    return subprocess.run(command, cwd=workspace, env={**os.environ, **environment}, capture_output=True, text=True)


def test_a_build_releases_what_is_another_one_and_pings_it(
    workspace: Path,
    plane: ControlPlane,
    classifier: TabularWrapper,
    trust: Trust,
    key: SigningKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", plane.environment["STORAGE_EMULATOR_HOST"])
    row = dict.fromkeys(tiny_models.COLUMNS, 0.5)
    store = Repository(open_store("gs://demo-project-models"), trust)
    publish(classifier, name="tiny_classifier", examples=[row], repository=store, key=key)

    parsed: dict[str, Any] = yaml.safe_load((workspace / "cloudbuild.yaml").read_text())
    known = {"PROJECT_ID": plane.project}
    build = LocalBuild(parsed, workspace, plane.environment_of(DEPLOYER), known, INSTEAD)
    ended = build.run()
    told = "\n".join(f"== {name}: {step.status}\n{step.output}" for name, step in ended.items())
    assert {step.status for step in ended.values()} == {0}, told
    assert build.order[:2] == ["unpack", "test"]
    assert build.order[-2:] == ["release", "warm-up"]
    assert "warm-tabular: answered 200" in ended["warm-up"].output

    url = plane.front_end.local("https://us-central1-demo-project.cloudfunctions.net/tabular")
    token = plane.accounts.id_token(
        "model-warmup@demo-project.iam.gserviceaccount.com",
        "https://us-central1-demo-project.cloudfunctions.net/tabular",
    )
    asked = json.dumps({"data": row}).encode()
    answer = call(f"{url}/predict", asked, Authorization=f"Bearer {token}")
    assert answer.status == 200, answer.body

    again = LocalBuild(parsed, workspace, plane.environment_of(DEPLOYER), known, INSTEAD | {"unpack": "true"}).run()
    assert {step.status for step in again.values()} == {0}
    assert "tabular: nothing" in again["release"].output
    assert "nothing to do" in again["warm-up"].output
