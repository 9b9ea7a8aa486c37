"""Who may what: least of all, and no more than what a function reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.cloud import resources
from deploy.cloud.configuration import Configuration
from deploy.cloud.foundations import secrets, stages
from deploy.cloud.resources import Grant, Place, grants
from tests.deploy.cloud.written import write_configuration, write_functions
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.policies import Policies

#: Roles by which an account could do anything to a project.
TOO_MUCH = {
    "roles/owner",
    "roles/editor",
    "roles/storage.admin",
    "roles/storage.objectAdmin",
    "roles/iam.securityAdmin",
}

OBJECTS = "projects/_/buckets/acme-prod-models/objects"


@pytest.fixture
def granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Grant]]:
    monkeypatch.setattr(resources, "FUNCTIONS", write_functions(tmp_path / "functions"))

    def of(account: str, **changes: object) -> list[Grant]:
        families = ["gateway", "onnx", "pytorch", "tabular"]
        file = write_configuration(tmp_path / "deploy.yaml", families=families, **changes)
        return [one for one in grants(Configuration.read(file)) if one.account.partition("@")[0] == account]

    return of


def test_a_function_reads_and_lists_its_own_family_alone(granted: Callable[..., list[Grant]]) -> None:
    [grant] = granted("fn-tabular")
    assert (grant.place, grant.role) == (Place("bucket", "acme-prod-models"), "roles/storage.objectViewer")
    assert grant.condition is not None
    assert grant.condition.expression == (
        f'resource.name.startsWith("{OBJECTS}/tabular/") || '
        'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("tabular/")'
    )


def test_a_function_that_keys_open_reads_their_list_too(granted: Callable[..., list[Grant]]) -> None:
    [models, keys] = granted("fn-onnx")
    assert models.condition is not None
    assert models.condition.title == "own-models"
    assert keys.condition is not None
    assert keys.condition.expression == f'resource.name == "{OBJECTS}/access/keys.json"'


def test_a_function_that_mounts_secrets_reads_these(granted: Callable[..., list[Grant]]) -> None:
    [models, *mounted] = granted("fn-pytorch")
    assert models.condition is not None
    assert models.condition.title == "own-models", "the list of keys is mounted, and not read from the bucket"
    assert [(grant.place, grant.role) for grant in mounted] == [
        (Place("secret", name), "roles/secretmanager.secretAccessor") for name in ("access-keys", "webhook")
    ]


def test_the_gateway_reads_documents_and_no_weights(granted: Callable[..., list[Grant]]) -> None:
    [grant] = granted("fn-gateway")
    assert grant.condition is not None
    assert grant.condition.expression == (
        'resource.name == "projects/_/buckets/acme-prod-models" || resource.name.endsWith(".json")'
    )


def test_the_deployer_has_the_roles_of_its_backend(granted: Callable[..., list[Grant]]) -> None:
    by_functions = {grant.role for grant in granted("model-deployer")}
    by_run = {grant.role for grant in granted("model-deployer", backend="run")}
    assert by_functions - by_run == {"roles/cloudfunctions.developer"}
    assert by_run - by_functions == {"roles/run.sourceDeveloper"}


def test_who_releases_cannot_write_models_and_who_writes_them_cannot_release(
    granted: Callable[..., list[Grant]],
) -> None:
    assert {(grant.place.name, grant.role) for grant in granted("model-deployer") if grant.place.kind == "bucket"} == {
        ("acme-prod-models", "roles/storage.objectViewer"),
        ("acme-prod-builds", "roles/storage.objectUser"),
        ("acme-prod-batch", "roles/storage.objectUser"),
        ("acme-prod-batch", "roles/storage.legacyBucketReader"),
    }
    assert not [grant for grant in granted("model-publisher") if grant.place.name == "acme-prod-builds"]
    elsewhere = [grant for grant in granted("model-publisher") if grant.place.kind not in ("bucket", "secret")]
    assert [(grant.role, grant.condition and grant.condition.title) for grant in elsewhere] == [
        ("roles/logging.logWriter", None),
        ("roles/storage.objectViewer", "build-source"),
    ]
    assert not granted("model-warmup"), "it calls functions, as the release of each allows it"


def test_a_batch_job_reads_models_and_not_the_list_of_keys(granted: Callable[..., list[Grant]]) -> None:
    found = granted("model-batch")
    assert [(grant.place.name, grant.role) for grant in found] == [
        ("acme-prod", "roles/dataflow.worker"),
        ("acme-prod-models", "roles/storage.objectViewer"),
        ("acme-prod-batch", "roles/storage.objectUser"),
    ]
    policies = Policies(lambda _: True, lambda _: set())
    for grant in found:
        condition = grant.condition and {"title": grant.condition.title, "expression": grant.condition.expression}
        binding = {"role": grant.role, "members": [f"serviceAccount:{grant.account}"]}
        policy = {"version": 3, "bindings": [binding | ({"condition": condition} if condition else {})]}
        policies.set(f"{grant.place.kind} {grant.place.name}", policy)

    def may(permission: str, bucket: str, name: str) -> bool:
        asked = Asked(f"projects/_/buckets/{bucket}/objects/{name}")
        places = ("project acme-prod", f"bucket {bucket}")
        return any(policies.allows(found[0].account, permission, place, asked) for place in places)

    read, write = "storage.objects.get", "storage.objects.create"
    assert may(read, "acme-prod-models", "tabular/wine/revisions/1/weights.safetensors")
    assert not may(read, "acme-prod-models", "access/keys.json")
    assert not may(write, "acme-prod-models", "tabular/wine/aliases/prod.json")
    assert may(write, "acme-prod-batch", "out/part-000000.jsonl")
    assert may("storage.objects.delete", "acme-prod-batch", "out/part-000000.jsonl")
    users = {grant.account for grant in granted("model-deployer") if grant.place.name == found[0].account}
    assert users == {"model-deployer@acme-prod.iam.gserviceaccount.com"}, "nobody else starts jobs as it"


def test_nobody_gets_a_role_that_could_do_anything(tmp_path: Path) -> None:
    for backend in ("functions", "run"):
        found = grants(Configuration.read(write_configuration(tmp_path / "deploy.yaml", backend=backend)))
        assert not {grant.role for grant in found} & TOO_MUCH
        acting = [grant for grant in found if grant.role.startswith("roles/iam.")]
        assert {grant.place.kind for grant in acting} == {"account"}, "nobody acts as any account there is"
        assert all(grant.why for grant in found)


def test_secrets_that_flags_mount_are_made_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "FUNCTIONS", write_functions(tmp_path / "functions"))
    file = write_configuration(tmp_path / "deploy.yaml", families=["gateway", "pytorch"])
    assert secrets(Configuration.read(file)) == ["access-keys", "model-signing-key", "webhook"]


def test_a_name_too_long_for_an_account_is_told(tmp_path: Path) -> None:
    written = Configuration.read(write_configuration(tmp_path / "deploy.yaml"))
    configuration = replace(written, families=("audio_spectrogram_classification",))
    with pytest.raises(
        ValueError, match=r'would be "fn-audio-spectrogram-classification": 35 letters, and Google takes'
    ):
        stages(configuration)
