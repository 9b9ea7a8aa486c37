"""deploy/terraform/: what it would make is what bootstrap makes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud import resources
from deploy.cloud.accounts import accounts
from deploy.cloud.configuration import Configuration
from deploy.cloud.federation import Lent, Provider
from deploy.cloud.foundations import secrets, stages
from deploy.cloud.resources import Grant, grants
from deploy.cloud.trigger import BUILD_CONFIG, IGNORED
from deploy.project import FUNCTIONS, ROOT
from tests.deploy.cloud.written import write_configuration, write_functions

MODULE = ROOT / "deploy" / "terraform"

#: The commands of bootstrap, each with the resource that stands for it.
RESOURCES = {
    "services enable": "google_project_service",
    "iam service-accounts create": "google_service_account",
    "iam service-accounts add-iam-policy-binding": "google_service_account_iam_member",
    "storage buckets create": "google_storage_bucket",
    "storage buckets add-iam-policy-binding": "google_storage_bucket_iam_member",
    "artifacts repositories create": "google_artifact_registry_repository",
    "artifacts repositories add-iam-policy-binding": "google_artifact_registry_repository_iam_member",
    "secrets create": "google_secret_manager_secret",
    "secrets add-iam-policy-binding": "google_secret_manager_secret_iam_member",
    "projects add-iam-policy-binding": "google_project_iam_member",
    "builds triggers import": "google_cloudbuild_trigger",
    "iam workload-identity-pools create": "google_iam_workload_identity_pool",
    "iam workload-identity-pools providers": "google_iam_workload_identity_pool_provider",
}
#: What Terraform has as arguments of those.
SETTINGS = {"storage buckets update", "artifacts repositories set-cleanup-policies"}

ENVIRONMENT = {"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}


def terraform(*arguments: str, folder: Path, said: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        pytest.skip("terraform is not installed, and it is what understands its own language")
    return subprocess.run(
        [program, *arguments], cwd=folder, env=os.environ | ENVIRONMENT, input=said, capture_output=True, text=True
    )


@pytest.fixture
def given(tmp_path: Path) -> Any:
    def write(**changes: Any) -> Configuration:
        return Configuration.read(write_configuration(tmp_path / "deploy" / "deploy.yaml", **changes))

    (tmp_path / "deploy").mkdir()
    return write


def evaluated(configuration: Configuration, folder: Path, *variables: str) -> Any:
    """What the module makes of a deploy.yaml: all but the resources themselves, which need Google's provider."""
    (folder / "deploy" / "cloud").mkdir()
    if not (folder / "functions").exists():
        (folder / "functions").symlink_to(FUNCTIONS)
    shutil.copy(ROOT / "deploy" / "cloud" / "resources.yaml", folder / "deploy" / "cloud")
    module = folder / "deploy" / "terraform"
    module.mkdir()
    for name in ("variables.tf", "locals.tf"):
        shutil.copy(MODULE / name, module)
    names = ("grants", "account_names", "secrets", "bucket", "region", "images", "github", "federation")
    asked = f"jsonencode({{{', '.join(f'{name} = local.{name}' for name in names)}}})"
    flags = [f"-var=project={configuration.project}", *variables]
    done = terraform("console", *flags, folder=module, said=asked)
    assert done.returncode == 0, done.stderr
    return json.loads(json.loads(done.stdout))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"backend": "functions"}, id="all families, by functions"),
        pytest.param(
            {
                "backend": "run",
                "families": ["gateway", "tabular"],
                "bucket": "acme-weights",
                "github": {
                    "repository": "projects/acme-prod/locations/europe-west1/connections/gh/repositories/app",
                    "branch": "^main$",
                },
                "ci": {"system": "github", "repository": "acme/models", "branch": "main"},
            },
            id="two families, by run",
        ),
    ],
)
def test_it_grants_and_names_what_bootstrap_does(given: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    configuration = given(**changes)
    found = evaluated(configuration, tmp_path)
    assert found["account_names"] == accounts(configuration)
    assert sorted(found["secrets"]) == secrets(configuration)
    assert (found["bucket"], found["region"], found["images"]) == (
        configuration.bucket,
        configuration.region,
        configuration.images,
    )
    assert found["github"] == changes.get("github")
    assert found["federation"] == federation(configuration)
    assert comparable(found["grants"]) == comparable(told(grants(configuration)))


def test_it_reads_of_flags_what_bootstrap_reads(given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "FUNCTIONS", write_functions(tmp_path / "functions"))
    configuration = given(families=["gateway", "onnx", "pytorch", "tabular"])
    found = evaluated(configuration, tmp_path)
    assert sorted(found["secrets"]) == secrets(configuration) == ["access-keys", "model-signing-key", "webhook"]
    assert comparable(found["grants"]) == comparable(told(grants(configuration)))


def test_a_system_of_ci_has_an_issuer_of_its_own(given: Any, tmp_path: Path) -> None:
    ci = {
        "system": "jenkins",
        "repository": "https://ci.acme.com/job/m",
        "branch": "x",
        "issuer": "https://ci.acme.com",
    }
    configuration = given(families=["tabular"], ci=ci)
    assert evaluated(configuration, tmp_path)["federation"] == federation(configuration)


def test_its_variables_come_before_the_file(given: Any, tmp_path: Path) -> None:
    configuration = given(bucket="acme-weights")
    variables = ("-var=bucket=acme-other", "-var=region=europe-west4", '-var=families=["tabular"]')
    found = evaluated(configuration, tmp_path, *variables)
    assert (found["bucket"], found["region"]) == ("acme-other", "europe-west4")
    assert [name for name in found["account_names"] if name.startswith("fn-")] == ["fn-tabular"]


def test_every_command_of_bootstrap_has_its_resource(given: Any) -> None:
    trigger = {"repository": "projects/p/locations/l/connections/c/repositories/r", "branch": "^main$"}
    ci = {"system": "gitlab", "repository": "acme/models", "branch": "main"}
    parts = [part for stage in stages(given(github=trigger, ci=ci)) for part in stage]
    verbs = {verb(step.command) for part in parts for step in part.steps(None)}
    assert verbs - SETTINGS == set(RESOURCES)
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    assert set(re.findall(r'^resource "(\w+)"', text, re.MULTILINE)) == set(RESOURCES.values())
    for kind in ("project", "bucket", "images", "secret", "account"):
        assert len(re.findall(rf"for_each += local\.grants_by_kind\.{kind}\n", text)) == 1, kind


def test_a_bucket_is_as_private_as_bootstrap_makes_it() -> None:
    [bucket] = re.findall(r'^resource "google_storage_bucket" .*?^}', (MODULE / "main.tf").read_text(), re.M | re.S)
    assert re.search(r"uniform_bucket_level_access += true\n", bucket)
    assert re.search(r'public_access_prevention += "enforced"\n', bucket)
    assert re.search(r"versioning {\n +enabled = true\n", bucket)
    for name in ("bucket", "builds", "batches"):
        assert f"(local.{name}) = local.resources.{name}" in bucket
    for setting in ("soft_delete_days", "lifecycle.rule"):
        assert f"each.value.{setting}" in bucket


def test_it_is_formatted() -> None:
    done = terraform("fmt", "-check", "-diff", folder=MODULE)
    assert done.returncode == 0, done.stdout


def test_a_trigger_is_as_bootstrap_makes_it(given: Any) -> None:
    [trigger] = re.findall(
        r'^resource "google_cloudbuild_trigger" .*?^}', (MODULE / "main.tf").read_text(), re.M | re.S
    )
    assert f"ignored_files   = {json.dumps(list(IGNORED))}\n" in trigger
    assert f'filename        = "{BUILD_CONFIG}"\n' in trigger
    assert "{ _DEPLOYER = local.accounts.deployer }" in trigger


def federation(configuration: Configuration) -> dict[str, Any] | None:
    """As the module has it."""
    if (ci := configuration.ci) is None:
        return None
    known = resources.read()["ci"][ci.system]
    return Provider(ci, known).settings | {"of": Lent(configuration, ci, known).of}


def verb(command: tuple[str, ...]) -> str:
    """The words of a command before what it is about."""
    words = {"services": 2, "secrets": 2, "projects": 2}
    return " ".join(command[: words.get(command[0], 3)])


def told(grants: list[Grant]) -> list[dict[str, str]]:
    """As the module has them."""
    return [
        {
            "kind": grant.place.kind,
            "name": grant.place.name.partition("@")[0],
            "role": grant.role,
            "account": grant.account.partition("@")[0],
            "title": grant.condition.title if grant.condition else "",
            "expression": grant.condition.expression if grant.condition else "",
        }
        for grant in grants
    ]


def comparable(grants: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(grant.items()) for grant in grants)
