"""Bootstrap and doctor by the real gcloud, against a control plane of our own."""

import json
import shutil
from pathlib import Path

import pytest

from deploy import publisher
from deploy.__main__ import main
from model_functions.artifact.signing_key import SigningKey
from tests.deploy.cloud.written import write_configuration
from tests.gcloud.linter import refused

TRIGGER = {
    "repository": "projects/acme-prod/locations/europe-west1/connections/gh/repositories/app",
    "branch": "^main$",
}
CI = {"system": "github", "repository": "acme/models", "branch": "main"}


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
            tmp_path / "deploy.yaml", backend=backend, families=["gateway", "onnx"], github=TRIGGER, ci=CI
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
    assert sum(line.startswith("gcloud builds triggers import ") for line in commands) == 1
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
