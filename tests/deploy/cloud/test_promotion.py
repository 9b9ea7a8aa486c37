"""deploy/cloud/promotion.yaml, run here: a revision that does worse is not promoted, a better one is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from deploy.cloud.resources import read
from deploy.environments import ENVIRONMENTS
from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.deploy.evaluation.conftest import RIGHT, ROWS, json_lines, labelled_rows
from tests.local_build import BUILT_IN, LocalBuild, mistakes, substitutions
from tests.system.checkout import Checkout

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "cloud" / "promotion.yaml"
BUILD: dict[str, Any] = yaml.safe_load(FILE.read_text())


def test_it_has_the_schema_of_cloud_build_and_its_references_lead_somewhere() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.cloudbuild", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert mistakes(BUILD) == []


def test_it_runs_as_the_publisher_who_alone_may_sign() -> None:
    deployment = yaml.safe_load((ROOT / "deploy" / "deploy.yaml").read_text())
    named = substitutions(BUILD, dict.fromkeys(BUILT_IN, "acme-prod"))
    assert named["_PUBLISHER"] == deployment["accounts"]["publisher"]
    assert "${_PUBLISHER}@" in BUILD["serviceAccount"]
    [secret] = BUILD["availableSecrets"]["secretManager"]
    assert secret["versionName"].split("/")[3] in read()["secrets"]
    assert [step["id"] for step in BUILD["steps"] if "secretEnv" in step] == ["promote"]


class Promotion:
    """Two revisions of the model "larger", in a store of a checkout that trusts the tests' key."""

    def __init__(self, folder: Path, trust: Trust, key: SigningKey, trust_file: Path) -> None:
        self.checkout = Checkout.at(folder / "workspace")
        self.store = folder / "store"
        # What is installed once for this tree is there for its checkout too.
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        (self.checkout.folder / "build").mkdir()
        (self.checkout.folder / "build" / "environments").symlink_to(ENVIRONMENTS)
        self._trust, self._key = trust, key
        # The tests' key is of a laptop, and is to count in production here.
        keys = json.loads(trust_file.read_text())
        for one in keys["keys"]:
            one.pop("local", None)
        (self.checkout.folder / "deploy" / "trust.json").write_text(json.dumps(keys))
        key.write(folder / "key.pem")
        self._secret = (folder / "key.pem").read_text()
        self._data = json_lines(folder / "labelled.jsonl", labelled_rows())

    @property
    def repository(self) -> Repository:
        return Repository(open_store(str(self.store)), self._trust)

    def publish(self, estimator: Any, labels: list[str], alias: str | None) -> str:
        fitted = estimator.fit(np.array(ROWS, dtype=float), labels)
        wrapper = TabularWrapper.from_estimator(fitted, ROWS[0], columns=["a", "b"])
        published = publish(
            wrapper, name="larger", examples=[ROWS[0]], alias=alias, repository=self.repository, key=self._key
        )
        return published.manifest.revision

    def served(self) -> str:
        return self.repository.resolve("tabular", "larger", "prod").revision

    def run(
        self, revision: str, limits: str = "--max-drop accuracy=0.01", before_promotion: str = ""
    ) -> dict[str, Any]:
        """How the build's steps end: (status, output) by id."""
        asked = {"_MODEL": "larger", "_REVISION": revision, "_DATA": str(self._data), "_STORE": str(self.store)}
        build = {**BUILD, "substitutions": {**BUILD["substitutions"], **asked, "_LIMITS": limits}}
        instead = {"install": "true"}
        if before_promotion:
            instead["evaluate"] = (
                f"{next(s['script'] for s in BUILD['steps'] if s['id'] == 'evaluate')}{before_promotion}"
            )
        variables = {"SIGNING_KEY": self._secret}
        ended = LocalBuild(build, self.checkout.folder, variables, {"PROJECT_ID": "acme"}, instead).run()
        return {name: (step.status, step.output) for name, step in ended.items()}


@pytest.fixture
def promotion(tmp_path: Path, trust: Trust, key: SigningKey, trust_file: Path) -> Promotion:
    return Promotion(tmp_path, trust, key, trust_file)


@pytest.mark.slow
def test_a_worse_revision_is_not_promoted_and_a_better_one_is(promotion: Promotion) -> None:
    worse = promotion.publish(DummyClassifier(strategy="constant", constant="more"), RIGHT, "prod")
    better = promotion.publish(DecisionTreeClassifier(random_state=0), RIGHT, None)

    ended = promotion.run(better)
    assert [status for status, _ in ended.values()] == [0, 0, 0], ended
    assert "accuracy         0.5000  1.0000  +0.5000 better" in ended["evaluate"][1]
    assert f'"prod" of tabular/larger is revision {better}.' in ended["promote"][1]
    assert promotion.served() == better

    ended = promotion.run(worse)
    assert [status for status, _ in ended.values()] == [0, 1, None], ended
    assert "MISSED    --max-drop accuracy=0.01: 1.0000 before, 0.5000 now" in ended["evaluate"][1]
    assert promotion.served() == better

    ended = promotion.run(worse, limits="")
    assert ended["evaluate"] == (
        2,
        "_LIMITS is empty, so that anything would be promoted. Say what must hold, as --max-drop accuracy=0.01.\n",
    )
    assert promotion.served() == better


@pytest.mark.slow
def test_who_was_promoted_meanwhile_stays(promotion: Promotion) -> None:
    promotion.publish(DummyClassifier(strategy="constant", constant="more"), RIGHT, "prod")
    better = promotion.publish(DecisionTreeClassifier(random_state=0), RIGHT, None)
    other = promotion.publish(DecisionTreeClassifier(max_depth=3, random_state=0), RIGHT, None)
    somebody = (
        "\n" + next(step["script"] for step in BUILD["steps"] if step["id"] == "promote").partition("pipefail")[2]
    )
    somebody = somebody.replace('"$_REVISION"', other).replace(' --replacing "$compared"', "")
    ended = promotion.run(better, before_promotion=somebody)
    assert (ended["evaluate"][0], ended["promote"][0]) == (0, 1), ended
    assert f"points at revision {other}, and " in ended["promote"][1]
    assert promotion.served() == other
