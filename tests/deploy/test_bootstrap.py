"""Bootstrap and doctor by the real gcloud, against a control plane of our own."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import publisher
from deploy.__main__ import main
from deploy.cloud import making, resources
from model_functions.artifact.signing_key import SigningKey
from tests.deploy.cloud.written import write_configuration
from tests.fakes.control_plane import ControlPlane
from tests.gcloud_linter import refused

Run = Callable[..., int]

TRIGGER = {
    "repository": "projects/acme-prod/locations/europe-west1/connections/gh/repositories/app",
    "branch": "^main$",
}
BUCKET = "projects/_/buckets/acme-prod-models"


@pytest.fixture
def anonymous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in to gcloud."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("anonymous")
def test_a_dry_run_prints_commands_that_gcloud_takes_for_both_backends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: set[str] = set()
    for backend in ("functions", "run"):
        file = write_configuration(
            tmp_path / "deploy.yaml", backend=backend, families=["gateway", "onnx"], github=TRIGGER
        )
        assert main(["bootstrap", "--config", str(file), "--dry-run"]) == 0
        printed = capsys.readouterr()
        if shutil.which("gcloud"):
            assert printed.err.startswith("# Google Cloud could not be asked: ")
        lines = printed.out.splitlines()
        assert lines[0].startswith("gcloud services enable artifactregistry.googleapis.com ")
        assert all(line.endswith(" --project=acme-prod --quiet") for line in lines)
        assert len(lines) == len(set(lines)), "no command twice"
        commands.update(lines)
    assert sum(line.startswith("gcloud builds triggers create github ") for line in commands) == 1
    assert refused(sorted(commands), tmp_path) == {}


@pytest.mark.usefixtures("anonymous")
def test_the_doctor_examines_a_machine_that_nobody_is_logged_in_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps({"keys": [SigningKey.generate().trusted("release").entry()]}))
    monkeypatch.setattr(publisher, "RELEASE_TRUST", trust)
    file = write_configuration(tmp_path / "deploy.yaml")
    assert main(["doctor", "--config", str(file), "--json"]) == 1
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert {what: found[what]["verdict"] for what in ("Python", "gcloud", "git", "deploy/trust.json")} == {
        "Python": "ok",
        "gcloud": "ok",
        "git": "ok",
        "deploy/trust.json": "ok",
    }
    project = found["the project acme-prod"]
    assert (project["verdict"], project["told"]) == ("wrong", "nobody is logged in to gcloud")
    assert project["mended_by"] == ["gcloud auth login"]
    assert found["the rest of the project"]["verdict"] == "unknown"


def test_a_machine_without_gcloud_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    file = write_configuration(tmp_path / "deploy.yaml", families=["onnx"])
    assert main(["doctor", "--config", str(file)]) == 1
    told = capsys.readouterr().out
    assert "WRONG    gcloud: gcloud is not installed. Install it: https://cloud.google.com/sdk/docs/install" in told
    assert "WRONG    git: not installed" in told
    assert "unknown  the rest of the project: not asked" in told
    assert main(["bootstrap", "--config", str(file), "--dry-run"]) == 0, "the commands need no gcloud to be shown"
    assert main(["bootstrap", "--config", str(file)]) == 1
    assert "gcloud is not installed" in capsys.readouterr().err


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what is tried here")
    with ControlPlane("acme-prod") as plane:
        for name, value in plane.environment.items():
            monkeypatch.setenv(name, value)
        yield plane


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a verb for a project that needs less than ours: every command of gcloud takes a second."""
    wanted = resources.read()
    first = {str(rule["at"]): rule for rule in reversed(wanted["grants"]) if "backend" not in rule}
    own = next(rule for rule in wanted["grants"] if rule["to"] == "functions")
    rules = [first["project"], first["warmup's account"], own]
    short = wanted | {"secrets": {"model-signing-key": ""}, "grants": rules}
    (tmp_path / "resources.yaml").write_text(yaml.safe_dump(short))
    monkeypatch.setattr(resources, "FILE", tmp_path / "resources.yaml")
    monkeypatch.setattr(making, "PATIENCE_S", (0.1, 0.1))
    file = write_configuration(tmp_path / "deploy.yaml", families=["tabular"])

    def run(verb: str, *flags: str) -> int:
        return main([verb, "--config", str(file), *flags])

    return run


@pytest.mark.slow
def test_a_project_is_made_in_spite_of_failures_and_then_left_as_it_is(
    plane: ControlPlane, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor", "--json") == 1
    new = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert new["the project acme-prod"]["verdict"] == "ok"
    assert new["the APIs"]["mended_by"][0].startswith("python -m deploy bootstrap --config ")
    assert new["the rest of the project"]["told"] == "cannot be asked before the APIs are on"

    fault = plane.faults.add("POST", "iam/v1/projects/acme-prod/serviceAccounts", status=403, after=2, times=None)
    assert run("bootstrap") == 1
    told = capsys.readouterr()
    assert "error: the account " in told.err
    assert "The caller does not have permission" in told.err
    assert "  by: gcloud iam service-accounts create " in told.err
    assert "Ask an owner of the project for the role" in told.err
    assert "Done, and stays: the APIs artifactregistry.googleapis.com, " in told.err
    assert "Not begun: who may what " in told.err
    assert "The same command goes on where this stopped:\n  python -m deploy bootstrap --config " in told.err
    assert "made the bucket gs://acme-prod-models\n" in told.out
    assert told.out.count("made the account ") == 2

    fault.times = 0
    spoil(plane)
    # An account that was made a moment ago is not known everywhere yet.
    plane.faults.add("PUT", "storage/v1/b/*/iam", status=400, message="Service account fn-tabular does not exist.")
    assert run("bootstrap", "--json") == 0
    told = capsys.readouterr()
    changed = [one["what"] for one in json.loads(told.out)["changed"]]
    assert "the bucket gs://acme-prod-models" not in changed, "it was there"
    assert sum(what.startswith("the account ") for what in changed) == 3, "those that were left"
    assert "storage.objectViewer (own-models) of fn-tabular on gs://acme-prod-models" in changed
    assert "Google is not ready, once more in 0.1 s" in told.err
    assert "set right the settings of gs://acme-prod-models, which had: versioning off" in told.err
    assert "fn-tabular on gs://acme-prod-models: given under another condition" in told.err
    [grant] = [one for one in plane.policies.bindings(BUCKET) if one["role"] == "roles/storage.objectViewer"]
    assert grant["condition"]["title"] == "own-models", "what was granted without it is taken back"

    before = len(changes(plane))
    assert run("bootstrap") == 0
    assert capsys.readouterr().out == "acme-prod has all that it needs: nothing to do.\n"
    assert len(changes(plane)) == before


def spoil(plane: ControlPlane) -> None:
    """By hand, what a person might have: no versions any more, and a function that reads all models."""
    plane.storage.buckets["acme-prod-models"].versioning = False
    member = "serviceAccount:fn-tabular@acme-prod.iam.gserviceaccount.com"
    wide = {"role": "roles/storage.objectViewer", "members": [member]}
    plane.policies.by_resource[BUCKET] = {"version": 1, "bindings": [wide]}


def changes(plane: ControlPlane) -> list[Any]:
    return [request for request in plane.requests if request.is_change]
