"""What is deployed runs: who reaches it, where the traffic goes, what pings it, and what the log says of that."""

import json
from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.conftest import MAIN, PLACE, Asking, asking, deploy, zipped
from tests.running import Answer, call

pytestmark = pytest.mark.slow

KNATIVE = "run/apis/serving.knative.dev/v1/namespaces/demo-project/services/hello"
HOST = "us-central1-gcp.test"
ALIAS = "https://us-central1-demo-project.cloudfunctions.net/hello"
PING = "pinger@demo-project.iam.gserviceaccount.com"


def let_in(ask: Asking, member: str) -> None:
    policy = {"bindings": [{"role": "roles/run.invoker", "members": [member]}]}
    assert ask("POST", f"run/v1/{PLACE}/services/hello:setIamPolicy", {"policy": policy})[0] == 200


def test_a_private_function_answers_its_invokers_and_jobs_that_run_as_them(plane: ControlPlane, ask: Asking) -> None:
    assert deploy(plane, ask)["response"]["state"] == "ACTIVE"
    ask("POST", "iam/v1/projects/demo-project/serviceAccounts", {"accountId": "pinger"})
    _, function = ask("GET", f"cloudfunctions/v2/{PLACE}/functions/hello")
    url, service = function["url"], function["serviceConfig"]["uri"]

    def asked(audience: str, at: str = url, **headers: str) -> Answer:
        token = plane.accounts.id_token(PING, audience)
        return call(
            at if at.endswith("?") else f"{at}/predict", None, None, **({"Authorization": f"Bearer {token}"} | headers)
        )

    assert call(url).status == 403
    assert b"does not have permission to get URL" in call(url).body
    assert asked(url).status == 403
    let_in(ask, f"serviceAccount:{PING}")
    own = plane.accounts.claims(asked(url, f"{url}/token?").body.decode())
    answer = asked(url)
    assert (answer.status, json.loads(answer.body)["path"]) == (200, "/predict")
    assert json.loads(answer.body)["authorization"].endswith(".SIGNATURE_REMOVED_BY_GOOGLE")
    assert own is not None
    assert own["email"] == function["serviceConfig"]["serviceAccountEmail"]
    assert {asked(audience, service).status for audience in (url, service, ALIAS)} == {200}
    assert asked(f"{url}/predict").status == 403
    assert asked(url, Authorization="Bearer of.no.good").status == 403
    assert asked(url, **{"X-Serverless-Authorization": "Bearer of.no.good"}).status == 403
    assert call(f"{url}/healthz").status == 404
    assert call(url, b"{}", "GET").status == 400

    token = {"serviceAccountEmail": PING, "audience": ALIAS}
    target = {"uri": f"{ALIAS}/warmup", "oidcToken": token}
    job = {"name": f"{PLACE}/jobs/warm", "schedule": "*/5 * * * *", "httpTarget": target}
    assert ask("POST", f"cloudscheduler/v1/{PLACE}/jobs", job)[0] == 200
    assert run(plane, ask)["status"] == {}
    token["audience"] = f"{ALIAS}/warmup"
    assert ask("PATCH", f"cloudscheduler/v1/{PLACE}/jobs/warm?updateMask=httpTarget", job)[0] == 200
    assert run(plane, ask)["status"]["code"] == 7

    wanted = 'resource.labels.service_name="hello" httpRequest.requestUrl:"/warmup" severity<=INFO'
    query = {"resourceNames": ["projects/demo-project"], "filter": wanted}
    [entry] = ask("POST", "logging/v2/entries:list", query)[1]["entries"]
    assert entry["httpRequest"]["userAgent"] == "Google-Cloud-Scheduler"
    assert entry["httpRequest"]["status"] == 200
    assert entry["resource"]["labels"]["revision_name"].startswith("hello-00001-")


def run(plane: ControlPlane, ask: Asking) -> dict[str, Any]:
    """The job, after a run."""
    assert ask("POST", f"cloudscheduler/v1/{PLACE}/jobs/warm:run")[0] == 200
    plane.scheduler.join()
    job = ask("GET", f"cloudscheduler/v1/{PLACE}/jobs/warm")[1]
    assert job["lastAttemptTime"]
    return job


def test_traffic_goes_where_it_is_sent_and_a_broken_revision_gets_none(plane: ControlPlane, ask: Asking) -> None:
    deploy(plane, ask)
    let_in(ask, "allUsers")
    service = ask("GET", KNATIVE, host=HOST)[1]
    first = service["status"]["latestReadyRevisionName"]
    service["spec"]["traffic"] = [{"revisionName": first, "percent": 100}]
    assert ask("PUT", KNATIVE, service, host=HOST)[0] == 200
    status, error = ask("PUT", KNATIVE, service, host=HOST)
    assert (status, error["status"]) == (409, "ABORTED"), "it was read before the change"

    deploy(plane, ask, service={"environmentVariables": {"GREETING": "ho"}})
    service = ask("GET", KNATIVE, host=HOST)[1]
    second = service["status"]["latestReadyRevisionName"]
    assert second != first
    url = service["status"]["url"]
    assert {served(url)["K_REVISION"] for _ in range(5)} == {first}, "the split that was there stays"

    halves = [{"revisionName": name, "percent": 50} for name in (first, second)]
    service["spec"]["traffic"] = [halves[0] | {"percent": 40}, halves[1]]
    assert ask("PUT", KNATIVE, service, host=HOST)[1]["message"].startswith("The traffic's percentages add up to 90")
    service["spec"]["traffic"] = [*halves, {"revisionName": second, "tag": "canary"}]
    service = ask("PUT", KNATIVE, service, host=HOST)[1]
    assert {served(url)["K_REVISION"] for _ in range(20)} == {first, second}
    tag = next(target["url"] for target in service["status"]["traffic"] if target.get("tag"))
    assert {served(tag)["GREETING"] for _ in range(3)} == {"ho"}

    plane.instances.probes = True
    operation = deploy(plane, ask, source=zipped(main=f"raise RuntimeError('no')\n{MAIN}"))
    assert "Container Healthcheck failed. Revision 'hello-00003-" in operation["error"]["message"]
    assert ask("GET", f"cloudfunctions/v2/{PLACE}/functions/hello")[1]["state"] == "ACTIVE"
    assert served(url)["K_REVISION"] in (first, second)
    assert any("RuntimeError: no" in json.dumps(entry) for entry in plane.log.entries)


def served(url: str) -> dict[str, Any]:
    answer = call(url)
    assert answer.status == 200, answer.body
    said: dict[str, Any] = json.loads(answer.body)
    return said


def test_an_instance_stops_with_the_control_plane() -> None:
    with ControlPlane(apis="all") as plane:
        ask = asking(plane)
        deploy(plane, ask)
        [instance] = plane.instances.running
        assert instance.is_alive
    assert not instance.is_alive
