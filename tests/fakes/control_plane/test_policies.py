"""Who may what: policies against etags, conditions on a bucket's objects, roles, and what failures are injected."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane, given_secrets
from tests.fakes.control_plane.conditions import Asked, holds
from tests.fakes.control_plane.conftest import PLACE, Asking, deploy
from tests.fakes.control_plane.routing import ApiError
from tests.running import call

PROJECT = "cloudresourcemanager/v1/projects/demo-project"
ACCOUNTS = "iam/v1/projects/demo-project/serviceAccounts"
READER = "reader@demo-project.iam.gserviceaccount.com"
OWN = (
    'resource.name.startsWith("projects/_/buckets/models/objects/tabular/") || '
    'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("tabular/")'
)


def test_a_policy_that_somebody_else_changed_meanwhile_is_not_written(ask: Asking) -> None:
    _, policy = ask("POST", f"{PROJECT}:getIamPolicy", {})
    assert ask("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})[0] == 200
    status, error = ask("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})
    assert (status, error["status"]) == (409, "ABORTED")
    assert "concurrent policy changes" in error["message"]


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        pytest.param({"role": "roles/nothing"}, "Role roles/nothing is not supported", id="role"),
        pytest.param({"role": "roles/viewer", "members": ["ann"]}, "Principal ann is of an unknown type", id="member"),
        pytest.param(
            {"role": "roles/viewer", "members": [f"serviceAccount:{READER}"]}, "does not exist", id="no such account"
        ),
        pytest.param(
            {"role": "roles/viewer", "members": ["user:a@b.c"], "condition": {"title": "t", "expression": "true"}},
            "require policy version 3",
            id="condition without the version",
        ),
    ],
)
def test_a_binding_that_means_nothing_is_refused(ask: Asking, binding: dict[str, object], message: str) -> None:
    _, policy = ask("POST", f"{PROJECT}:getIamPolicy", {})
    policy["bindings"].append(binding)
    status, error = ask("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})
    assert status == 400
    assert message in error["message"]


@pytest.mark.parametrize(
    ("expression", "resource", "prefix", "expected"),
    [
        pytest.param(OWN, "projects/_/buckets/models/objects/tabular/a", "", True, id="own object"),
        pytest.param(OWN, "projects/_/buckets/models/objects/onnx/a", "", False, id="another's object"),
        pytest.param(OWN, "projects/_/buckets/models", "tabular/", True, id="own list"),
        pytest.param(OWN, "projects/_/buckets/models", "", False, id="the whole list"),
        pytest.param('!(resource.name == "x") && resource.name.endsWith(".json")', "a.json", "", True, id="not and"),
    ],
)
def test_conditions_are_evaluated(expression: str, resource: str, prefix: str, expected: bool) -> None:
    asked = Asked(resource, {"storage.googleapis.com/objectListPrefix": prefix} if prefix else {})
    assert holds(expression, asked) is expected


@pytest.mark.parametrize("expression", ["resource.nme == 'x'", "1 +", '"text"', "__import__('os').system('x')"])
def test_what_is_no_condition_is_refused(expression: str) -> None:
    with pytest.raises(ApiError, match="Condition expression compilation failed"):
        holds(expression, Asked("x"))


def test_a_bucket_gives_an_account_its_own_prefix_alone(plane: ControlPlane, ask: Asking) -> None:
    assert ask("POST", ACCOUNTS, {"accountId": "reader"})[0] == 200
    owner, reader = plane.storage.url_of(plane.owner), plane.storage.url_of(READER)

    def at(url: str, path: str, method: str = "GET", body: object = None) -> int:
        data = None if body is None else json.dumps(body).encode()
        return call(f"{url}/storage/v1/b{path}", data, method=method).status

    fine = {"name": "models", "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}
    assert at(owner, "?project=demo-project", "POST", fine) == 200
    assert at(owner, "?project=demo-project", "POST", fine) == 409
    assert at(owner, "?project=demo-project", "POST", {"name": "other", "colour": "red"}) == 400
    plane.storage.put("tabular/a", b"1", "models")
    plane.storage.put("onnx/a", b"1", "models")
    assert at(reader, "/models/o/tabular%2Fa?alt=media") == 403
    condition = {"title": "own", "expression": OWN}
    binding = {"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{READER}"], "condition": condition}
    assert at(owner, "/models/iam", "PUT", {"version": 3, "bindings": [binding]}) == 200
    assert at(owner, "/models/iam", "PUT", {"version": 3, "bindings": [binding], "etag": "QndZMDAwMDAwMDAw"}) == 412
    assert at(reader, "/models/o/tabular%2Fa?alt=media") == 200
    assert at(reader, "/models/o/onnx%2Fa?alt=media") == 403
    assert at(reader, "/models/o?prefix=tabular/") == 200
    assert at(reader, "/models/o") == 403
    assert at(reader, "/models/o/tabular%2Fa", "DELETE") == 403
    assert at(owner, "/models/o/tabular%2Fa", "DELETE") == 204


def test_an_account_may_what_its_roles_say_and_no_more(plane: ControlPlane, ask: Asking) -> None:
    ask("POST", ACCOUNTS, {"accountId": "reader"})
    secrets = "secretmanager/v1/projects/demo-project/secrets"
    automatic: dict[str, Any] = {"replication": {"automatic": {}}}
    for name in ("mine", "others"):
        assert ask("POST", f"{secrets}?secretId={name}", automatic)[0] == 200
        ask("POST", f"{secrets}/{name}:addVersion", {"payload": {"data": "c2VjcmV0"}})
    binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{READER}"]}
    assert ask("POST", f"{secrets}/mine:setIamPolicy", {"policy": {"bindings": [binding]}})[0] == 200
    status, found = ask("GET", f"{secrets}/mine/versions/latest:access", account=READER)
    assert (status, found["payload"]["data"]) == (200, "c2VjcmV0")
    status, error = ask("GET", f"{secrets}/others/versions/latest:access", account=READER)
    assert status == 403
    assert error["message"].startswith("Permission 'secretmanager.versions.access' denied")
    assert ask("DELETE", f"{secrets}/mine", account=READER)[0] == 403


def test_a_mounted_secret_is_for_functions_whose_account_may_read_it(plane: ControlPlane, ask: Asking) -> None:
    secrets = "secretmanager/v1/projects/demo-project/secrets"
    ask("POST", f"{secrets}?secretId=keys", {"replication": {"automatic": {}}})
    ask("POST", f"{secrets}/keys:addVersion", {"payload": {"data": "c2VjcmV0"}})
    volume = {"mountPath": "/secrets", "secret": "keys", "versions": [{"version": "latest", "path": "/keys.json"}]}
    wanted = {"secretVolumes": [volume], "environmentVariables": {"GREETING": "/secrets/keys.json"}}
    compute = f"{plane.number}-compute@developer.gserviceaccount.com"
    denied = f"Permission denied on secret: projects/demo-project/secrets/keys/versions/latest for .* {compute}"
    assert re.search(denied, deploy(plane, ask, service=wanted)["error"]["message"])
    binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{compute}"]}
    ask("POST", f"{secrets}/keys:setIamPolicy", {"policy": {"bindings": [binding]}})
    assert "error" not in deploy(plane, ask, service=wanted | {"timeoutSeconds": 61})
    [revision, _] = plane.services.of("us-central1", "hello")
    place = Path(given_secrets.variables(plane, revision)["GREETING"])
    assert (place.name, place.read_text()) == ("keys.json", "secret")


def test_failures_are_injected_where_they_are_wanted(plane: ControlPlane, ask: Asking) -> None:
    accounts = [{"accountId": f"account-{number}"} for number in range(4)]
    plane.faults.add("change", "iam/*", after=2, status=503)
    assert [ask("POST", ACCOUNTS, body)[0] for body in accounts] == [200, 200, 503, 200]
    assert ask("GET", ACCOUNTS)[0] == 200
    plane.faults.add("GET", "iam/*", status=429, times=2)
    assert [ask("GET", ACCOUNTS)[0] for _ in range(3)] == [429, 429, 200]
    plane.faults.add("POST", "*/functions", operation_error="Quota exceeded.", word="RESOURCE_EXHAUSTED")
    operation = deploy(plane, ask)
    assert operation["error"] == {"code": 8, "message": "Quota exceeded."}
    plane.faults.add("PATCH", "*/functions/hello", operation_delay=0.2)
    assert "error" not in deploy(plane, ask)
    assert ask("GET", f"cloudfunctions/v2/{PLACE}/functions/hello")[1]["state"] == "ACTIVE"
