"""A project, made by the real gcloud in a control plane of our own, in spite of whatever; examined, spoilt and mended.

Every command of gcloud takes a second: the project needs less than ours, and is made once for all.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import publisher
from deploy.cloud import making, resources
from deploy.cloud.configuration import Configuration
from deploy.cloud.sdk import Gcloud
from deploy.cloud.trigger import BuildTrigger
from deploy.examination.project import examine_region, examine_secret
from model_functions.artifact.signing_key import SigningKey
from tests.deploy.cloud.made_project import BUCKET, DEPLOYER, POOL, REPOSITORY, Project, make, needing_less
from tests.deploy.cloud.written import write_configuration
from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.billing import ACCOUNT
from tests.fakes.control_plane.plane import HOST
from tests.fakes.control_plane.secret_manager import Version
from tests.running import call

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what is tried here"),
    pytest.mark.usefixtures("quick_gcloud"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """That was made by several runs of bootstrap: none of the first ones had its way."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch, ControlPlane("acme-prod") as plane:
        for name, value in plane.environment.items():
            patch.setenv(name, value)
        patch.setattr(resources, "FILE", needing_less(folder / "resources.yaml"))
        patch.setattr(making, "PATIENCE_S", (0.1, 0.1))
        patch.setattr(publisher, "RELEASE_TRUST", folder / "trust.json")
        keys = {"keys": [SigningKey.generate().trusted("release").entry()]}
        (folder / "trust.json").write_text(json.dumps(keys))
        changes = {
            "families": ["tabular"],
            "github": {"repository": REPOSITORY, "branch": "^main$"},
            "ci": {"system": "github", "repository": "acme/models", "branch": "main"},
        }
        made = Project(plane, write_configuration(folder / "deploy.yaml", **changes))
        make(made)
        yield made


def test_a_new_project_is_told_what_to_do(project: Project) -> None:
    told = project.on_the_way["new"].out
    assert "ok       the project acme-prod: there" in told
    assert "WRONG    billing: off: nothing can be built or run" in told
    assert "         gcloud billing projects link acme-prod --billing-account=ACCOUNT" in told
    assert "WRONG    the APIs: the APIs artifactregistry.googleapis.com, " in told
    assert "         python -m deploy bootstrap --config " in told
    assert "unknown  the rest of the project: cannot be asked before the APIs are on" in told
    failed = project.on_the_way["no billing"]
    assert failed.status == 1
    assert "Billing must be enabled for activation of service(s)" in failed.err
    assert "Nobody pays for the project: gcloud billing projects link PROJECT" in failed.err


def test_a_run_that_may_not_do_all_tells_what_it_did_and_how_to_go_on(project: Project) -> None:
    told = project.on_the_way["no permission"]
    assert told.status == 1
    assert "error: the account " in told.err
    assert "The caller does not have permission" in told.err
    assert "  by: gcloud iam service-accounts create " in told.err
    assert "Ask an owner of the project for the role" in told.err
    assert "Not begun: who may what " in told.err
    assert "The same command goes on where this stopped:\n  python -m deploy bootstrap --config " in told.err
    assert "made the account " not in told.out


def test_what_waits_for_a_person_is_told_and_the_rest_is_made(project: Project) -> None:
    told = project.on_the_way["not connected"]
    assert told.status == 1
    assert f"note: {REPOSITORY} is not connected" in told.err
    assert "the trigger model-functions of app could not be made." in told.err
    assert "Google is not ready, once more in 0.1 s" in told.err
    assert "fn-tabular on gs://acme-prod-models, which had: given under another condition" in told.out
    [grant] = [one for one in project.plane.policies.bindings(BUCKET) if one["role"] == "roles/storage.objectViewer"]
    assert grant["condition"]["title"] == "own-models", "what was granted without it is taken back"


def test_a_region_that_there_is_not_is_told(project: Project) -> None:
    configuration = replace(Configuration.read(project.file), region="mars-north1")
    [finding] = examine_region(Gcloud("acme-prod"), configuration)
    assert finding.verdict == "wrong"
    assert finding.told.startswith("Cloud Run has no mars-north1. Write into deploy/deploy.yaml one of: asia-east1, ")


def test_who_may_not_look_is_told_what_to_ask_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    deployer = project.plane.environment_of("ann@example.com")
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", deployer["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"])
    configuration = Configuration.read(project.file)
    [finding] = examine_region(Gcloud("acme-prod"), configuration)
    assert finding.verdict == "unknown"
    assert finding.told.startswith("cannot be read: ")
    assert finding.mended_by[1] == (
        "gcloud projects add-iam-policy-binding acme-prod --member=user:YOU --role=roles/iam.securityReviewer "
        "--condition=None"
    )


def test_what_the_doctor_finds_wrong_its_own_commands_mend(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        old_gcloud(tmp_path / "old", patch)
        spoil(project.plane)
        told = project.run("doctor", "--json")
    assert told.status == 1
    listed = json.loads(told.out)
    found = {one["what"]: one for one in listed}
    [noted] = [one["told"] for one in listed if one["what"] == "the Cloud Build trigger" and not one["mended_by"]]
    assert found["gcloud"]["told"] == "400.0.0, older than the 528.0.0 that the commands were tried with"
    assert found["gcloud"]["mended_by"] == ["gcloud components update"]
    wrong = {what: one["told"] for what, one in found.items() if one["verdict"] == "wrong"}
    assert wrong == {
        "billing": "off: nothing can be built or run. ACCOUNT is one of: gcloud billing accounts list",
        "the bucket gs://acme-prod-models": "the settings of gs://acme-prod-models: public access prevention off",
        "the service accounts": "the account fn-tabular@acme-prod.iam.gserviceaccount.com: disabled",
        "the identity pool model-functions": "the identity pool model-functions: disabled",
        "the identity provider github": "the identity provider github: another condition",
        "who may be model-deployer": "iam.workloadIdentityUser of acme/models on model-deployer@acme-prod.iam."
        "gserviceaccount.com: missing",
        "who may what in the project": "run.admin of model-deployer in the project: missing",
        "the Cloud Build trigger": "the trigger model-functions of app: missing",
        "what is in the secret model-signing-key": "nothing: publishers have no key to sign with",
    }

    connect(project, noted)
    commands = dict.fromkeys(command for what in wrong for command in found[what]["mended_by"])
    for command in commands:
        follow(project, command)
    assert {one["verdict"] for what, one in project.examined().items() if what != "browser"} == {"ok"}

    before = project.changes()
    assert project.run("bootstrap").out == "acme-prod has all that it needs: nothing to do.\n"
    assert project.changes() == before


def old_gcloud(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The real one, but for what it says of its age."""
    folder.mkdir()
    script = f"""#!/bin/sh
    if [ "$1" = version ]; then echo '{{"Google Cloud SDK": "400.0.0"}}'; else exec {shutil.which("gcloud")} "$@"; fi
    """
    (folder / "gcloud").write_text(script)
    (folder / "gcloud").chmod(0o755)
    patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def spoil(plane: ControlPlane) -> None:
    """By hand, what people do to a project."""
    plane.billing.account = ""
    plane.storage.buckets["acme-prod-models"].fields["iamConfiguration"]["publicAccessPrevention"] = "inherited"
    plane.accounts.by_email["fn-tabular@acme-prod.iam.gserviceaccount.com"]["disabled"] = True
    plane.iam.pools[POOL]["disabled"] = True
    plane.iam.providers[POOL, "github"]["attributeCondition"] = 'assertion.ref == "refs/heads/main"'
    plane.policies.forget(f"projects/acme-prod/serviceAccounts/{DEPLOYER}")
    bindings = plane.policies.by_resource["projects/acme-prod"]["bindings"]
    bindings[:] = [binding for binding in bindings if binding["role"] != "roles/run.admin"]


def connect(project: Project, noted: str) -> None:
    """Does what the doctor's note says, and logs in at the address that the first command's answer has."""
    first, _, second = noted.partition("Run: ")[2].partition(", then: ")
    project.gcloud(first.partition(" (")[0])
    log_in = project.plane.builds.connections["us-central1", "gh"]["installationState"]["actionUri"]
    assert call(log_in).status == 200
    project.gcloud(second.replace("OWNER/NAME", "acme/models"))


def test_a_trigger_that_somebody_changed_is_replaced(project: Project) -> None:
    plane, configuration = project.plane, Configuration.read(project.file)
    assert configuration.github is not None
    place = {"name": REPOSITORY, "remoteUri": "https://github.com/acme/models.git"}
    plane.builds.repositories.setdefault(REPOSITORY, place)
    gcloud, parts = Gcloud("acme-prod"), [BuildTrigger(configuration, configuration.github)]
    making.make(gcloud, [parts], print)
    [trigger] = plane.builds.triggers.values()
    right = dict(trigger)
    trigger["repositoryEventConfig"] = {"repository": REPOSITORY, "push": {"branch": ".*"}}
    trigger["disabled"] = True
    outcome = making.make(gcloud, [parts], print)
    assert [step.what for step in outcome.done] == ["the trigger model-functions of app"], outcome.failed
    assert list(plane.builds.triggers.values()) == [right]
    assert making.make(gcloud, [parts], print).done == []


def test_a_secret_that_was_switched_off_is_switched_on(project: Project) -> None:
    plane, name = project.plane, "model-signing-key"
    plane.secrets.versions[name] = [Version(b"a key", "DISABLED")]
    found = examine_secret(name, Gcloud("acme-prod"))
    assert (found.verdict, found.told) == ("wrong", "its newest version, 1, is switched off")
    follow(project, found.mended_by[0])
    assert plane.secrets.versions[name] == [Version(b"a key")]
    plane.secrets.versions[name].clear()


def follow(project: Project, command: str) -> None:
    """Does what a line says, as a person would."""
    words = shlex.split(command.replace("--billing-account=ACCOUNT", f"--billing-account={ACCOUNT.partition('/')[2]}"))
    if words[:3] == ["python", "-m", "deploy"]:
        told = project.run(words[3], *words[6:])
        assert told.status == 0, told.err
        return
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def test_runs_of_the_configured_branch_are_the_deployer_and_no_others(project: Project, tmp_path: Path) -> None:
    plane, token = project.plane, tmp_path / "token"
    provider = plane.iam.providers[POOL, "github"]["name"]
    credentials = tmp_path / "credentials.json"
    # As deploy/ci/ has it of Jenkins and GitLab; GitHub's action writes the same file.
    project.gcloud(
        f"gcloud iam workload-identity-pools create-cred-config {provider} --service-account={DEPLOYER} "
        f"--credential-source-file={token} --output-file={credentials}"
    )
    written = json.loads(credentials.read_text())
    for name in ("token_url", "service_account_impersonation_url"):
        # gcloud has no override of these two.
        written[name] = re.sub(r"https://(\w+)\.googleapis\.com/", rf"http://{HOST}/\1/", written[name])
    credentials.write_text(json.dumps(written))
    ours = {"CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(credentials)}
    environment = {name: value for name, value in plane.variables().items() if "TOKEN_FILE" not in name} | ours
    del environment["CLOUDSDK_CORE_ACCOUNT"]

    def run(repository: str, ref: str) -> subprocess.CompletedProcess[str]:
        said: dict[str, Any] = {
            "repository": repository,
            "ref": ref,
            "sub": f"repo:{repository}:ref:{ref}",
            "email_verified": None,
        }
        issuer, audience = "https://token.actions.githubusercontent.com", f"https://iam.googleapis.com/{provider}"
        token.write_text(plane.google.token(None, audience, iss=issuer, **said))
        command = ["gcloud", "projects", "describe", "acme-prod"]
        # A machine of its own: gcloud keeps what a token was exchanged for.
        own = {"CLOUDSDK_CONFIG": tempfile.mkdtemp(dir=tmp_path)}
        return subprocess.run(command, env=environment | own, capture_output=True, text=True)

    allowed = run("acme/models", "refs/heads/main")
    assert allowed.returncode == 0, allowed.stderr
    assert plane.requests[-1].caller == DEPLOYER
    for repository, ref in (("acme/models", "refs/heads/mine"), ("evil/models", "refs/heads/main")):
        refused = run(repository, ref)
        assert refused.returncode == 1
        assert "The given credential is rejected by the attribute condition." in refused.stderr
