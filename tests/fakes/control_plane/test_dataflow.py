"""The fake Dataflow is as strict as Google's; what it runs, tests/deploy/batch/dataflow/ shows."""

import hashlib
from typing import Any

import pytest

from tests.fakes.bucket import Bucket
from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.conftest import PLACE, Asking

JOBS = f"dataflow/v1b3/{PLACE}/jobs"
ACCOUNT = "model-batch@demo-project.iam.gserviceaccount.com"
PIPELINE = b"a pipeline"


@pytest.fixture
def body(plane: ControlPlane) -> dict[str, Any]:
    """A job that would be taken, of an account and with files that are there; it does not begin."""
    plane.dataflow.free.clear()
    plane.accounts.add(ACCOUNT)
    policy = plane.policies.get(plane.project_name)
    worker = {"role": "roles/dataflow.worker", "members": [f"serviceAccount:{ACCOUNT}"]}
    plane.policies.set(plane.project_name, policy | {"bindings": [*policy["bindings"], worker]})
    plane.storage.buckets["staging"] = Bucket("staging")
    plane.storage.put("job/pipeline.pb", PIPELINE, "staging")
    plane.storage.put("job/code.whl", b"code", "staging")
    options = {"pipelineUrl": "gs://staging/job/pipeline.pb", "pipelineProtoHash": hashlib.sha256(PIPELINE).hexdigest()}
    pool = {
        "kind": "harness",
        "machineType": "e2-standard-2",
        "packages": [{"name": "code.whl", "location": "storage.googleapis.com/staging/job/code.whl"}],
        "autoscalingSettings": {"maxNumWorkers": 3},
        "workerHarnessContainerImage": "beam",
        "sdkHarnessContainerImages": [{"containerImage": "beam"}],
    }
    environment = {
        "userAgent": {"name": "Beam"},
        "version": {"job_type": "FNAPI_BATCH", "major": "8"},
        "tempStoragePrefix": "storage.googleapis.com/staging/job",
        "serviceAccountEmail": ACCOUNT,
        "sdkPipelineOptions": {"options": options},
        "workerPools": [pool],
    }
    return {"name": "a-job", "type": 1, "clientRequestId": "1", "environment": environment, "labels": {"family": "x"}}


def test_a_job_is_made_found_and_cancelled(ask: Asking, body: dict[str, Any]) -> None:
    status, job = ask("POST", JOBS, body)
    assert (status, job["currentState"]) == (200, "JOB_STATE_PENDING")
    assert [found["id"] for found in ask("GET", JOBS)[1]["jobs"]] == [job["id"]]
    twice = ask("POST", JOBS, body | {"clientRequestId": "2"})[1]
    assert (twice["id"], twice["clientRequestId"]) == (job["id"], "1"), "one of a name at a time"
    assert ask("PUT", f"{JOBS}/{job['id']}", {"requestedState": 5})[1]["currentState"] == "JOB_STATE_CANCELLED"
    status, error = ask("PUT", f"{JOBS}/{job['id']}", {"requestedState": 5})
    assert (status, "it is in state JOB_STATE_CANCELLED" in error["message"]) == (400, True)
    assert ask("POST", JOBS, body)[1]["id"] != job["id"]
    assert ask("GET", f"{JOBS}/none")[0] == 404


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        pytest.param(("name",), "Upper", "Invalid job name: 'Upper'", id="name"),
        pytest.param(("clientRequestId",), "", "Required field clientRequestId is missing", id="request id"),
        pytest.param(("color",), "red", 'Unknown name "color"', id="field"),
        pytest.param(("labels",), {"Family": "x"}, "Invalid label key: 'Family'", id="label"),
        pytest.param(("environment", "shade"), 1, "Unknown name \"shade\" at 'job.environment'", id="environment"),
        pytest.param(("environment", "workerPools"), [], "Required field workerPools is missing", id="no pool"),
        pytest.param(
            ("environment", "tempStoragePrefix"), "storage.googleapis.com/gone/x", "bucket gone of temp", id="bucket"
        ),
        pytest.param(
            ("environment", "serviceAccountEmail"),
            "nobody@demo-project.iam.gserviceaccount.com",
            "act as service account nobody",
            id="account",
        ),
        pytest.param(("environment", "workerPools", 0, "machineType"), "large", "machineType': 'large'", id="machine"),
        pytest.param(
            ("environment", "workerPools", 0, "autoscalingSettings", "maxNumWorkers"),
            1001,
            "Invalid maxNumWorkers: 1001",
            id="workers",
        ),
        pytest.param(
            ("environment", "workerPools", 0, "packages", 0, "location"),
            "storage.googleapis.com/staging/job/gone.whl",
            "package: gs://staging/job/gone.whl",
            id="package that was not uploaded",
        ),
        pytest.param(
            ("environment", "sdkPipelineOptions", "options", "pipelineProtoHash"), "0", "not the one", id="pipeline"
        ),
    ],
)
def test_what_google_refuses_is_refused(
    ask: Asking, body: dict[str, Any], place: tuple[Any, ...], value: Any, expected: str
) -> None:
    inner: Any = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    status, error = ask("POST", JOBS, body)
    assert status in (400, 403)
    assert expected in error["message"]


def test_a_region_that_is_none_is_refused(ask: Asking, body: dict[str, Any]) -> None:
    status, error = ask("POST", JOBS.replace("us-central1", "mars-north1"), body)
    assert (status, "invalid regional endpoint (mars-north1)" in error["message"]) == (400, True)


def test_who_may_not_and_an_api_that_is_off_are_refused(plane: ControlPlane, ask: Asking, body: dict[str, Any]) -> None:
    assert ask("POST", JOBS, body, account=ACCOUNT)[0] == 403, "a worker starts no jobs"
    plane.service_usage.enabled.discard("dataflow.googleapis.com")
    status, error = ask("POST", JOBS, body)
    assert (status, "dataflow.googleapis.com has not been used in project" in error["message"]) == (403, True)


def test_so_many_jobs_and_no_more_run_at_a_time(plane: ControlPlane, ask: Asking, body: dict[str, Any]) -> None:
    for number in range(25):
        assert ask("POST", JOBS, body | {"name": f"job-{number}"})[0] == 200
    status, error = ask("POST", JOBS, body | {"name": "one-more"})
    assert (status, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "'Concurrent Dataflow jobs': the limit is 25" in error["message"]
    # They end without having begun.
    for job in plane.dataflow.jobs.values():
        job.run.stop()
