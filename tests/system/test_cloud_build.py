"""cloudbuild.yaml, run here as the deployer: a function is really deployed into the control plane, and pinged.

Two steps have another script here. "unpack" copies two gigabytes of gcloud, and here links them; "test" is `make test`,
which this test is a part of.
"""

import json
import shutil
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
from tests.system.checkout import Checkout

pytestmark = pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what deploys"
)

INSTEAD = {
    "unpack": """mkdir -p build
        ln -s "$(gcloud info --format='value(installation.sdk_root)')" build/google-cloud-sdk
        echo none >build/environments.key""",
    "test": ".venv/bin/python -m deploy --help",
}
DEPLOYER = "model-deployer@demo-project.iam.gserviceaccount.com"


@pytest.fixture
def checkout(tmp_path: Path, trust_file: Path) -> Checkout:
    """Of a project with one family that is pinged."""
    made = Checkout.at(tmp_path / "workspace")
    made.configure(["tabular"], canary_seconds=5)
    (made.folder / "functions" / "tabular" / "warmup.yaml").write_text('--schedule: "*/5 * * * *"\n')
    # The tests' key is of a laptop, and is to count in production here.
    keys = json.loads(trust_file.read_text())
    for key in keys["keys"]:
        key.pop("local", None)
    (made.folder / "deploy" / "trust.json").write_text(json.dumps(keys))
    return made


@pytest.fixture
def plane(checkout: Checkout) -> Iterator[ControlPlane]:
    with ControlPlane() as made:
        done = checkout.run(made.variables(), "bootstrap")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


def test_a_build_releases_what_is_another_one_and_pings_it(
    checkout: Checkout,
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

    parsed: dict[str, Any] = yaml.safe_load((checkout.folder / "cloudbuild.yaml").read_text())
    known = {"PROJECT_ID": plane.project}
    deployer = plane.environment_of(DEPLOYER)
    build = LocalBuild(parsed, checkout.folder, deployer, known, INSTEAD)
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

    again = LocalBuild(parsed, checkout.folder, deployer, known, INSTEAD | {"unpack": "true"}).run()
    assert {step.status for step in again.values()} == {0}
    assert "tabular: nothing" in again["release"].output
    assert "nothing to do" in again["warm-up"].output
