"""Systems of CI elsewhere: which of their runs may be the deployer."""

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud.configuration import Ci, Configuration
from deploy.cloud.federation import ROLE, Lent, Pool, Provider
from deploy.cloud.resources import read
from tests.deploy.cloud.written import write_configuration

KNOWN = read()["ci"]
GITHUB = Ci("github", "acme/models", "main")
CONDITION = 'assertion.ref == "refs/heads/main" && assertion.repository == "acme/models"'
#: As `gcloud iam workload-identity-pools providers describe` tells it.
PROVIDER: dict[str, Any] = {
    "name": "projects/415926535897/locations/global/workloadIdentityPools/model-functions/providers/github",
    "state": "ACTIVE",
    "oidc": {"issuerUri": "https://token.actions.githubusercontent.com"},
    "attributeMapping": {"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"},
    "attributeCondition": CONDITION,
}
SET = "principalSet://iam.googleapis.com/projects/415926535897/locations/global/workloadIdentityPools/model-functions"
MEMBER = f"{SET}/attribute.repository/acme/models"


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return Configuration.read(write_configuration(tmp_path / "deploy.yaml", families=["tabular"]))


@pytest.fixture
def provider() -> Provider:
    return Provider(GITHUB, KNOWN["github"])


@pytest.fixture
def lent(configuration: Configuration) -> Lent:
    return Lent(configuration, GITHUB, KNOWN["github"])


@pytest.mark.parametrize(
    ("ci", "issuer", "condition"),
    [
        pytest.param(GITHUB, "https://token.actions.githubusercontent.com", CONDITION, id="GitHub"),
        pytest.param(
            Ci("gitlab", "acme/team/models", "main"),
            "https://gitlab.com",
            'assertion.project_path == "acme/team/models" && assertion.ref == "main" && assertion.ref_type == "branch"',
            id="GitLab",
        ),
        pytest.param(
            Ci("gitlab", "acme/models", "main", "https://gitlab.acme.com"),
            "https://gitlab.acme.com",
            'assertion.project_path == "acme/models" && assertion.ref == "main" && assertion.ref_type == "branch"',
            id="GitLab of one's own",
        ),
        pytest.param(
            Ci("jenkins", "https://ci.acme.com/job/models", "main", "https://ci.acme.com/oidc"),
            "https://ci.acme.com/oidc",
            'assertion.sub == "https://ci.acme.com/job/models/job/main/"',
            id="Jenkins",
        ),
    ],
)
def test_a_provider_takes_tokens_of_one_branch_of_one_repository(ci: Ci, issuer: str, condition: str) -> None:
    [step] = Provider(ci, KNOWN[ci.system]).steps(None)
    assert step.command[:5] == ("iam", "workload-identity-pools", "providers", "create-oidc", ci.system)
    assert f"--issuer-uri={issuer}" in step.command
    assert f"--attribute-condition={condition}" in step.command


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        pytest.param({}, [], id="as it should be"),
        pytest.param({"attributeCondition": "true"}, ["another condition"], id="condition"),
        pytest.param(
            {"oidc": {"issuerUri": "https://x.y"}, "attributeMapping": {}}, ["another issuer, another mapping"]
        ),
        pytest.param({"disabled": True}, ["disabled"], id="disabled"),
        pytest.param({"state": "DELETED"}, ["deleted"], id="deleted"),
    ],
)
def test_a_provider_that_differs_is_set_right(provider: Provider, changes: dict[str, Any], states: list[str]) -> None:
    assert [step.state for step in provider.steps(PROVIDER | changes)] == states


def test_a_pool_is_made_or_brought_back() -> None:
    assert [step.command[2] for step in Pool().steps(None)] == ["create"]
    assert Pool().steps({"state": "ACTIVE"}) == []
    [deleted, disabled] = Pool().steps({"state": "DELETED", "disabled": True})
    assert (deleted.command[2], disabled.command[2], disabled.command[-1]) == ("undelete", "update", "--no-disabled")


def test_the_deployer_is_lent_to_the_repository(lent: Lent) -> None:
    [step] = lent.steps({"number": "415926535897", "policy": None})
    assert step.command[2:] == (
        *("add-iam-policy-binding", "model-deployer@acme-prod.iam.gserviceaccount.com", f"--member={MEMBER}"),
        *(f"--role={ROLE}", "--condition=None"),
    )
    assert lent.steps({"number": "415926535897", "policy": {"bindings": [{"role": ROLE, "members": [MEMBER]}]}}) == []


def test_a_repository_that_was_configured_before_may_not_any_more(lent: Lent) -> None:
    elsewhere = MEMBER.replace("model-functions", "somebody-elses")
    members = [MEMBER, f"{SET}/attribute.repository/acme/old", f"{SET}/*", elsewhere, "user:ann@acme.com"]
    steps = lent.steps({"number": "415926535897", "policy": {"bindings": [{"role": ROLE, "members": members}]}})
    assert [step.command[2] for step in steps] == ["remove-iam-policy-binding"] * 2
    assert [step.command[4] for step in steps] == [f"--member={member}" for member in members[1:3]]


@pytest.mark.parametrize(
    ("ci", "told"),
    [
        pytest.param({"system": "circle"}, 'has "ci.system: circle". One of github, gitlab, jenkins.', id="system"),
        pytest.param({"repository": "models"}, 'has "ci.repository: models". As OWNER/NAME.', id="no owner"),
        pytest.param({"repository": 'a/b" || true || "'}, "As OWNER/NAME.", id="quotes"),
        pytest.param({"branch": "main && true"}, "A branch's name.", id="branch"),
        pytest.param({"issuer": "http://ci"}, "The address of who issues the tokens", id="issuer"),
        pytest.param({"system": "jenkins"}, "at ci: 'issuer' is a required property.", id="no issuer of Jenkins"),
    ],
)
def test_what_would_let_others_in_is_refused(tmp_path: Path, ci: dict[str, str], told: str) -> None:
    given = {"system": "github", "repository": "acme/models", "branch": "main"} | ci
    with pytest.raises(ValueError, match=re.escape(told)):
        Configuration.read(write_configuration(tmp_path / "deploy.yaml", ci=given))
