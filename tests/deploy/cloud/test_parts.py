"""What each part of a project does to a state that it finds: nothing, or no more than that asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud.accounts import ServiceAccounts
from deploy.cloud.apis import Apis
from deploy.cloud.bucket import Bucket
from deploy.cloud.configuration import Configuration, Trigger
from deploy.cloud.images import Images
from deploy.cloud.part import Part
from deploy.cloud.policies import Policy
from deploy.cloud.resources import Condition, Grant, Place, read
from deploy.cloud.secrets import Secrets
from deploy.cloud.trigger import BuildTrigger
from tests.deploy.cloud.written import write_configuration

WANTED = read()

#: As `gcloud storage buckets describe --raw` tells it.
BUCKET: dict[str, Any] = {
    "location": "US-CENTRAL1",
    "iamConfiguration": {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": {"enabled": True}},
    "versioning": {"enabled": True},
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    "lifecycle": WANTED["bucket"]["lifecycle"],
}
#: As `gcloud artifacts repositories describe` tells it.
IMAGES: dict[str, Any] = {
    "cleanupPolicies": {
        "keep-newest": {"id": "keep-newest", "action": "KEEP", "mostRecentVersions": {"keepCount": 10}},
        "delete-old": {
            "id": "delete-old",
            "action": "DELETE",
            "condition": {"tagState": "ANY", "olderThan": "2592000s"},
        },
    }
}
REPOSITORY = "projects/acme-prod/locations/europe-west1/connections/gh/repositories/app"
TRIGGER: dict[str, Any] = {
    "name": "model-functions",
    "filename": "cloudbuild.yaml",
    "ignoredFiles": ["docs/**", "*.md", "LICENSE"],
    "repositoryEventConfig": {"repository": REPOSITORY, "push": {"branch": "^main$"}},
    "substitutions": {"_DEPLOYER": "model-deployer"},
    "serviceAccount": "projects/acme-prod/serviceAccounts/model-deployer@acme-prod.iam.gserviceaccount.com",
}


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return Configuration.read(write_configuration(tmp_path / "deploy.yaml", families=["gateway", "tabular"]))


@pytest.fixture
def bucket(configuration: Configuration) -> Bucket:
    return Bucket(configuration.bucket, configuration.region, WANTED["bucket"])


def commands(part: Part, state: Any) -> list[str]:
    return [" ".join(step.command) for step in part.steps(state)]


def test_apis_that_are_off_are_enabled_at_once() -> None:
    apis = Apis({"run.googleapis.com": "runs", "iam.googleapis.com": "accounts"})
    assert commands(apis, [{"config": {"name": "run.googleapis.com"}}]) == ["services enable iam.googleapis.com"]
    assert commands(apis, None) == ["services enable run.googleapis.com iam.googleapis.com"]
    [step] = apis.steps(None)
    assert step.told == "switched on the APIs run.googleapis.com, iam.googleapis.com"


def test_a_bucket_that_is_right_stays_as_it_is(bucket: Bucket) -> None:
    assert commands(bucket, BUCKET) == []
    assert bucket.notes(BUCKET) == []
    assert commands(bucket, BUCKET | {"softDeletePolicy": {"retentionDurationSeconds": "7776000"}}) == [], "kept longer"


@pytest.mark.parametrize(
    ("changes", "told", "flags"),
    [
        pytest.param({"versioning": {"enabled": False}}, "versioning off", ["--versioning"], id="versioning"),
        pytest.param(
            {"iamConfiguration": {"publicAccessPrevention": "inherited", "uniformBucketLevelAccess": {}}},
            "uniform access off, public access prevention off",
            ["--uniform-bucket-level-access", "--public-access-prevention"],
            id="access",
        ),
        pytest.param({"softDeletePolicy": {}}, "soft delete 0 days", ["--soft-delete-duration=7d"], id="soft delete"),
        pytest.param({"lifecycle": {"rule": []}}, "lifecycle another", ["--lifecycle-file="], id="lifecycle"),
    ],
)
def test_a_bucket_that_differs_is_set_right_in_that_alone(
    bucket: Bucket, changes: dict[str, Any], told: str, flags: list[str]
) -> None:
    [step] = bucket.steps(BUCKET | changes)
    assert (step.what, step.state) == ("the settings of gs://acme-prod-models", told)
    assert step.command[:4] == ("storage", "buckets", "update", "gs://acme-prod-models")
    assert all(found.startswith(flag) for found, flag in zip(step.command[4:], flags, strict=True))


def test_a_bucket_far_from_the_functions_is_noted(bucket: Bucket) -> None:
    assert bucket.steps(BUCKET | {"location": "EU"}) == []
    [note] = bucket.notes(BUCKET | {"location": "EU"})
    assert note.startswith("gs://acme-prod-models is in eu, and functions run in us-central1: models load more slowly")
    assert bucket.notes(BUCKET | {"location": "US"}) == [], "the multi-region around them"


def test_accounts_are_made_or_enabled(configuration: Configuration) -> None:
    part = ServiceAccounts(configuration)
    there: list[dict[str, Any]] = [{"email": f"{name}@acme-prod.iam.gserviceaccount.com"} for name in part.wanted]
    assert commands(part, there) == []
    there[0]["disabled"] = True
    assert commands(part, there[:-1]) == [
        "iam service-accounts enable model-publisher@acme-prod.iam.gserviceaccount.com",
        "iam service-accounts create fn-tabular --display-name=Runs the function tabular",
    ]


def test_secrets_that_are_missing_are_made() -> None:
    there = [{"name": "projects/123/secrets/access-keys"}]
    assert commands(Secrets(["access-keys", "model-signing-key"]), there) == [
        "secrets create model-signing-key --replication-policy=automatic"
    ]


def test_images_are_cleaned_up(configuration: Configuration) -> None:
    images = Images(configuration, WANTED["images"])
    assert commands(images, IMAGES) == []
    [step] = images.steps({})
    assert (step.state, step.command[2], step.command[5]) == ("off", "set-cleanup-policies", "--no-dry-run")
    assert [step.state for step in images.steps(IMAGES | {"cleanupPolicyDryRun": True})] == ["another"]
    assert [step.state for step in images.steps(None)] == ["missing", "off"]


@pytest.fixture
def trigger(configuration: Configuration) -> BuildTrigger:
    return BuildTrigger(configuration, Trigger(REPOSITORY, "^main$"))


def test_a_trigger_is_made_where_its_connection_is(trigger: BuildTrigger) -> None:
    there = {"trigger": TRIGGER | {"id": "1", "includeBuildLogs": "INCLUDE_BUILD_LOGS_WITH_STATUS"}}
    assert (commands(trigger, there), trigger.notes(there)) == ([], [])
    connected = {"repository": {"name": REPOSITORY}}
    [made] = commands(trigger, connected)
    assert made.startswith("builds triggers import --source=")
    assert made.endswith("trigger-model-functions.json --region=europe-west1")
    assert json.loads(Path(made.partition("--source=")[2].partition(" ")[0]).read_text()) == TRIGGER
    assert trigger.notes(connected) == []


def test_a_repository_that_is_not_connected_is_noted(trigger: BuildTrigger) -> None:
    [note] = trigger.notes({"repository": None})
    assert note.startswith(f"{REPOSITORY} is not connected, so that no trigger can listen to it. Run: gcloud builds ")
    assert "gcloud builds connections create github gh --region=europe-west1 --project=acme-prod (its answer" in note
    assert "gcloud builds repositories create app --connection=gh --remote-uri=https://github.com/OWNER/" in note


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"filename": "other.yaml"}, "of the filename other.yaml and not cloudbuild.yaml", id="file"),
        pytest.param({"substitutions": {"_DEPLOYER": "me"}}, "of the substitutions {'_DEPLOYER': 'me'}", id="deployer"),
        pytest.param({"ignoredFiles": []}, "of the ignoredFiles [] and not", id="files"),
        pytest.param({"disabled": True}, "disabled", id="disabled"),
    ],
)
def test_a_trigger_that_differs_is_replaced(trigger: BuildTrigger, changes: dict[str, Any], told: str) -> None:
    [step] = trigger.steps({"trigger": TRIGGER | changes})
    assert step.state.startswith(told)
    assert step.command[:3] == ("builds", "triggers", "import")


class TestPolicy:
    OWN = Condition("own-models", 'resource.name.startsWith("x")')
    MEMBER = "serviceAccount:fn-tabular@acme-prod.iam.gserviceaccount.com"
    ROLE = "roles/storage.objectViewer"

    @pytest.fixture
    def policy(self, configuration: Configuration) -> Policy:
        place = Place("bucket", "acme-prod-models")
        account = configuration.function_account("tabular")
        return Policy(configuration, place, [Grant(place, self.ROLE, account, self.OWN, "reads")])

    def binding(self, **changes: Any) -> dict[str, Any]:
        condition = {"title": "own-models", "expression": self.OWN.expression}
        return {"role": self.ROLE, "members": [self.MEMBER], "condition": condition} | changes

    def test_a_grant_that_is_there_is_left_and_so_is_what_others_granted(self, policy: Policy) -> None:
        others = [
            {"role": "roles/storage.legacyBucketOwner", "members": ["projectOwner:acme-prod"]},
            {"role": "roles/storage.legacyBucketReader", "members": [self.MEMBER]},
            {"role": self.ROLE, "members": ["serviceAccount:somebody@else.iam.gserviceaccount.com"]},
        ]
        assert commands(policy, {"bindings": [*others, self.binding()]}) == []

    @pytest.mark.parametrize(
        "state", [None, {}, {"bindings": [{"role": ROLE, "members": []}]}], ids=["none", "empty", "without members"]
    )
    def test_a_grant_that_is_missing_is_made_under_its_condition(self, policy: Policy, state: Any) -> None:
        [step] = policy.steps(state)
        assert step.told == "made storage.objectViewer (own-models) of fn-tabular on gs://acme-prod-models"
        assert step.command == (
            *("storage", "buckets", "add-iam-policy-binding", "gs://acme-prod-models"),
            *(f"--member={self.MEMBER}", f"--role={self.ROLE}"),
            '--condition=^;^expression=resource.name.startsWith("x");title=own-models',
        )

    def test_a_grant_that_was_widened_is_taken_back_after_the_right_one_is_there(self, policy: Policy) -> None:
        wide = {"role": self.ROLE, "members": [self.MEMBER]}
        added, removed = commands(policy, {"bindings": [wide]})
        assert added.startswith("storage buckets add-iam-policy-binding")
        assert removed.startswith("storage buckets remove-iam-policy-binding")
        assert removed.endswith("--condition=None")
        [removed] = commands(policy, {"bindings": [wide, self.binding()]})
        assert removed.endswith("--condition=None")
