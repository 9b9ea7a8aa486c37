"""What a project stands on: who pays, what is connected, who vouches for whom; and what is refused of it."""

from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.build_steps import Here
from tests.fakes.control_plane.conftest import Asking, finished

CONNECTIONS = "cloudbuild/v2/projects/demo-project/locations/us-central1/connections"
TRIGGERS = "cloudbuild/v1/projects/demo-project/locations/us-central1/triggers"
POOLS = "iam/v1/projects/demo-project/locations/global/workloadIdentityPools"
BILLING = "cloudbilling/v1/projects/demo-project/billingInfo"
REPOSITORY = "projects/demo-project/locations/us-central1/connections/gh/repositories/app"
COMPUTE = "projects/demo-project/serviceAccounts/415926535897-compute@developer.gserviceaccount.com"
TRIGGER: dict[str, Any] = {
    "name": "t",
    "filename": "cloudbuild.yaml",
    "repositoryEventConfig": {"repository": REPOSITORY, "push": {"branch": "^main$"}},
    "serviceAccount": COMPUTE,
}
PROVIDER: dict[str, Any] = {
    "oidc": {"issuerUri": "https://token.actions.githubusercontent.com"},
    "attributeMapping": {"google.subject": "assertion.sub"},
    "attributeCondition": 'assertion.repository == "a/b"',
}


def test_nothing_is_switched_on_or_made_that_nobody_pays_for(plane: ControlPlane, ask: Asking) -> None:
    assert ask("PUT", BILLING, {"billingAccountName": ""})[1] == {
        "name": "projects/demo-project/billingInfo",
        "projectId": "demo-project",
    }
    enable = "serviceusage/v1/projects/demo-project/services/run.googleapis.com:enable"
    status, error = ask("POST", enable, {})
    assert (status, error["status"]) == (400, "FAILED_PRECONDITION")
    assert "Billing must be enabled" in error["message"]
    for account, refused in (("billingAccounts/1", 400), ("billingAccounts/AAAAAA-AAAAAA-AAAAAA", 403)):
        assert ask("PUT", BILLING, {"billingAccountName": account})[0] == refused
    assert ask("PUT", BILLING, {"billingAccountName": "billingAccounts/0A1B2C-3D4E5F-6A7B8C"})[1]["billingEnabled"]
    assert ask("POST", enable, {})[0] == 200


def test_a_repository_is_connected_after_somebody_has_logged_in(plane: ControlPlane, ask: Asking) -> None:
    place, repository = f"{CONNECTIONS}/gh/repositories?repositoryId=app", {"remoteUri": "https://github.com/a/b.git"}
    assert ask("POST", TRIGGERS, TRIGGER)[0] == 404
    made = ask("POST", f"{CONNECTIONS}?connectionId=gh", {"githubConfig": {}})[1]
    state = finished(ask, made, "cloudbuild/v2")["response"]["installationState"]
    assert state["stage"] == "PENDING_USER_OAUTH"
    assert ask("POST", place, repository)[1]["status"] == "FAILED_PRECONDITION"
    assert ask("GET", state["actionUri"].partition(f"{plane.proxy}/")[2])[0] == 200
    assert ask("POST", place, repository | {"remoteUri": "git@github.com:a/b"})[0] == 400
    assert ask("POST", place, repository)[0] == 200
    assert ask("POST", TRIGGERS, TRIGGER)[0] == 200
    status, error = ask("PATCH", f"{TRIGGERS}/t?updateMask=github.push.branch", {"github": {"push": {"branch": "x"}}})
    assert (status, error["message"]) == (400, "A trigger needs one event, and has: repositoryEventConfig, github.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"filename": ""}, "A trigger needs a build config", id="no file"),
        pytest.param({"substitutions": {"deployer": "x"}}, "Invalid substitution: 'deployer'", id="substitution"),
        pytest.param({"serviceAccount": ""}, "Required field serviceAccount", id="no account"),
        pytest.param(
            {"repositoryEventConfig": {"repository": REPOSITORY, "push": {}}}, "needs a branch or a tag", id="no branch"
        ),
        pytest.param(
            {"repositoryEventConfig": {"repository": REPOSITORY, "push": {"branch": "("}}},
            "Invalid regular expression",
            id="no regular expression",
        ),
    ],
)
def test_a_trigger_that_could_not_run_is_refused(
    plane: ControlPlane, ask: Asking, changes: dict[str, Any], message: str
) -> None:
    plane.builds.repositories[REPOSITORY] = {}
    body = {name: value for name, value in (TRIGGER | changes).items() if value != "" or name == "serviceAccount"}
    status, error = ask("POST", TRIGGERS, body)
    assert (status, message in error["message"]) == (400, True), error


@pytest.mark.parametrize(
    ("pool", "changes", "message"),
    [
        pytest.param("ci", {}, "Invalid workload_identity_pool_id: 'ci'", id="short name"),
        pytest.param("gcp-pool", {}, "Invalid workload_identity_pool_id: 'gcp-pool'", id="Google's name"),
        pytest.param("pool", {"attributeCondition": ""}, "must reference one of the provider's claims", id="everybody"),
        pytest.param("pool", {"attributeCondition": "assertion.sub"}, "is not boolean", id="no condition"),
        pytest.param("pool", {"attributeMapping": {"a.b": "assertion.sub"}}, "google.subject", id="no subject"),
        pytest.param("pool", {"oidc": {"issuerUri": "http://x"}}, "must be an HTTPS URI", id="plain HTTP"),
    ],
)
def test_a_provider_that_would_let_in_anybody_is_refused(
    ask: Asking, pool: str, changes: dict[str, Any], message: str
) -> None:
    status, told = ask("POST", f"{POOLS}?workloadIdentityPoolId={pool}", {})
    if status == 200:
        provider = f"{POOLS}/{pool}/providers?workloadIdentityPoolProviderId=github"
        status, told = ask("POST", provider, PROVIDER | changes)
    assert status == 400
    assert message in told["message"]


def test_a_build_ends_as_its_steps_did_or_says_that_they_were_not_run(plane: ControlPlane, ask: Asking) -> None:
    builds = "cloudbuild/v1/projects/demo-project/locations/us-central1/builds"

    def build(script: str) -> dict[str, Any]:
        steps = [{"id": "only", "name": "bash", "script": script}]
        options = {"logging": "CLOUD_LOGGING_ONLY", "automapSubstitutions": True}
        body = {"steps": steps, "serviceAccount": COMPUTE, "options": options}
        made = ask("POST", builds, body)[1]["metadata"]["build"]
        assert made["status"] == "QUEUED"
        plane.builds.join()
        return ask("GET", f"{builds}/{made['id']}")[1]

    ended = build("true")
    assert (ended["status"], ended["statusDetail"][:16]) == ("INTERNAL_ERROR", "Nothing was run:")
    plane.builds.here = Here()
    assert build("echo in $PROJECT_ID")["status"] == "SUCCESS"
    assert plane.log.entries[-1]["textPayload"] == 'Step #0 - "only": in demo-project'
    ended = build("exit 3")
    assert ended["status"] == "FAILURE"
    assert ended["statusDetail"] == 'build step 0 "only" failed: step exited with non-zero status: 3'
    plane.policies.by_resource["projects/demo-project"]["bindings"].pop()
    assert build("true")["statusDetail"].endswith("does not have permission to write logs to Cloud Logging")
