"""Jobs on Dataflow: submitted by Beam's own runner to the control plane, which runs what was staged."""

import json
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.deploy.batch.dataflow.conftest import ROWS, Project

pytestmark = pytest.mark.slow


def until(holds: Callable[[], object]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to that")


def test_a_job_runs_with_what_was_staged_for_it_and_is_not_run_again(healed: Project) -> None:
    told = healed.run("first")
    assert told.status == 0, told.err
    assert "submitting 3 parts to Dataflow as batch-tiny-classifier-" in told.err
    assert "on at most 1 machine e2-standard-2 with 2 processes each" in told.err
    assert "is done" in told.err
    assert f" {ROWS} in 3 parts\n" in told.out

    parts = [line for name in healed.names("first/part-") for line in healed.lines(name)]
    [dead] = healed.lines("first/dead-letters/part-000000.jsonl")
    assert [line["key"].rpartition(":")[2] for line in [*parts, dead]].count("8") == 1
    assert len({line["key"] for line in [*parts, dead]}) == ROWS
    assert dead["error"]["code"] == "invalid_input"
    assert {line["revision"] for line in parts} == {dead["revision"]}
    assert not healed.names("first/_job/staging/"), "what was staged has gone"

    job = healed.job().resource
    [pool] = job["environment"]["workerPools"]
    assert job["labels"]["family"] == "tabular"
    assert job["labels"]["revision"] == dead["revision"]
    assert job["environment"]["serviceAccountEmail"] == "model-batch@demo-project.iam.gserviceaccount.com"
    assert (pool["machineType"], pool["numThreadsPerWorker"]) == ("e2-standard-2", 2)
    assert pool["workerHarnessContainerImage"] == "gcr.io/cloud-dataflow/v1beta3/beam_python3.11_sdk:2.77.0"
    assert "use_multiple_sdk_containers" in job["environment"]["experiments"]
    assert {name.partition("-")[0] for name in healed.job().run.packages} == {
        "model_functions_batch",
        "requirements.txt",
        "extra_packages.txt",
    }

    submitted = len(healed.plane.dataflow.jobs)
    told = healed.run("first")
    assert told.out.startswith("gs://demo-project-batch/first is finished already. --again runs it again.")
    assert len(healed.plane.dataflow.jobs) == submitted


def test_a_dry_run_prints_the_job_and_makes_nothing(healed: Project) -> None:
    there, jobs = healed.plane.storage.names(healed.bucket), len(healed.plane.dataflow.jobs)
    healed.plane.requests.clear()
    told = healed.run("dry", "--dry-run", "--machine-type", "n2-highmem-4", "--max-workers", "7")
    assert told.status == 0, told.err
    found = json.loads(told.out)
    [pool] = found["job"]["environment"]["workerPools"]
    assert (pool["machineType"], pool["autoscalingSettings"]["maxNumWorkers"]) == ("n2-highmem-4", 7)
    assert found["request"] == "projects.locations.jobs.create projects/demo-project/locations/us-central1"
    assert found["rows"] == ROWS
    assert "deploy/batch/pipeline.py" in found["code"]
    assert any(name.endswith("/requirements.txt") for name in found["staged"])
    assert any(name.endswith("/pipeline.pb") for name in found["staged"])
    assert found["job"]["environment"]["sdkPipelineOptions"]["options"]["dry_run"] is False
    assert not [request for request in healed.plane.requests if request.is_change]
    assert (healed.plane.storage.names(healed.bucket), len(healed.plane.dataflow.jobs)) == (there, jobs)


def test_a_job_that_was_left_alone_is_found_again(healed: Project) -> None:
    healed.plane.dataflow.free.clear()
    told = healed.run("left", "--no-wait")
    assert told.status == 0, told.err
    key = healed.job().resource["id"]
    assert told.out.startswith(f"Dataflow's job {key} goes on without this command: https://console.cloud.google.com/")
    again = told.out.splitlines()[1].partition(": ")[2]
    assert shlex.split(again) == ["python", "-m", "deploy", *healed.command("left")]

    told = healed.run("left", "--again")
    assert told.status == 1
    assert told.err.startswith(f"conflict: Dataflow's job {key} still writes to gs://demo-project-batch/left. Wait for")
    assert f"gcloud dataflow jobs cancel {key} --region=us-central1 --project=demo-project" in told.err

    submitted = len(healed.plane.dataflow.jobs)
    healed.plane.dataflow.free.set()
    told = healed.run("left", "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["counts"]["rows"] == ROWS - 1
    assert len(healed.plane.dataflow.jobs) == submitted, "the same job was followed"


def test_ctrl_c_leaves_the_job_running_and_the_command_that_is_told_ends_it(healed: Project) -> None:
    healed.plane.dataflow.free.clear()
    before = len(healed.plane.dataflow.jobs)
    process = healed.started(*healed.command("stopped"))
    until(lambda: len(healed.plane.dataflow.jobs) > before and healed.names("stopped/_job/dataflow.json"))
    job = healed.job()
    until(lambda: any(request.path.endswith("/metrics") for request in list(healed.plane.requests)[-5:]))
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"Dataflow's job {job.resource['id']} goes on without this command" in out
    assert job.is_active
    cancelling = out.splitlines()[-1].removeprefix("To end it: ")
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what ends the job")
    done = subprocess.run(shlex.split(cancelling), env=healed.variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert job.resource["currentState"] == "JOB_STATE_CANCELLED"
    healed.plane.dataflow.free.set()

    told = healed.run("stopped")
    assert told.status == 0, told.err
    assert f"Dataflow's job {job.resource['id']} is cancelled; another one does what is left." in told.err
    assert healed.job() is not job, "a cancelled job's rows are another's"


def test_a_job_that_fails_says_why_what_is_done_and_how_to_go_on(healed: Project) -> None:
    fault = healed.plane.storage.fault("write", "broken/part-000001.jsonl", status=403, times=None)
    told = healed.run("broken")
    assert told.status == 1
    key = healed.job().resource["id"]
    assert f"error: Dataflow's job {key} is failed.\n" in told.err
    assert "gs://demo-project-batch/broken/part-000001.jsonl" in told.err
    assert (
        "of 3 parts are done, and stay. Its log: https://console.cloud.google.com/dataflow/jobs/us-central1/"
        in told.err
    )
    assert told.err.splitlines()[-1].startswith("To go on with the others: python -m deploy batch tiny_classifier ")
    fault.times = 0
    told = healed.run("broken")
    assert told.status == 0, told.err
    lines = [line for name in healed.names("broken/part-") for line in healed.lines(name)]
    assert len({line["key"] for line in lines}) == len(lines) == ROWS - 1


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        pytest.param(
            {"status": 403, "message": "Dataflow API has not been used in project demo-project before or it is off."},
            "error: The Dataflow API is off in demo-project, or was enabled a moment ago. Run: python -m deploy bootst",
            id="the API is off",
        ),
        pytest.param(
            {"status": 403, "message": "Permission 'dataflow.jobs.create' denied."},
            "error: You may not start jobs in demo-project: ",
            id="no permission",
        ),
        pytest.param(
            {"status": 429, "message": "Quota exceeded for quota metric 'Concurrent Dataflow jobs'."},
            "error: A quota is used up: ",
            id="quota",
        ),
    ],
)
def test_a_refused_job_says_what_to_do(healed: Project, effects: dict[str, object], expected: str) -> None:
    healed.plane.faults.add("POST", "dataflow/*/jobs", **effects)
    told = healed.run("refused")
    assert told.status == 1
    [error] = [line for line in told.err.splitlines() if line.startswith("error")]
    assert error.startswith(expected)
    assert error.endswith("No job was started; what is done of the output stays. Then run the same command again.")


def test_an_account_that_is_not_there_and_a_region_that_is_none_are_named(healed: Project) -> None:
    told = healed.run("refused", "--service-account", "nobody@demo-project.iam.gserviceaccount.com")
    assert "error: You may not start jobs that run as nobody@demo-project.iam.gserviceaccount.com, or there" in told.err
    told = healed.run("refused", "--region", "mars-north1")
    assert "error: Dataflow does not take the region mars-north1: " in told.err
    assert "Say another --region." in told.err


def test_a_second_job_for_an_output_is_kept_away_by_its_name(healed: Project) -> None:
    healed.plane.dataflow.free.clear()
    assert healed.run("once", "--no-wait").status == 0
    key = healed.job().resource["id"]
    # As for somebody who was killed before it was written down.
    del healed.plane.storage.buckets[healed.bucket].live["once/_job/dataflow.json"]
    told = healed.run("once")
    assert told.status == 1
    assert f"conflict: Dataflow has the job {key} for this output already" in told.err


def test_places_that_machines_do_not_reach_are_refused_before_anything_else(healed: Project) -> None:
    arguments = healed.command("x")
    arguments[arguments.index("--output") + 1] = "out"
    assert "error: --output out is on this machine, which Dataflow does not see." in healed.ask(arguments).err
    arguments[arguments.index("out")] = "gs://nowhere-at-all/out"
    told = healed.ask(arguments).err
    assert told.startswith("error: There is no bucket gs://nowhere-at-all, or you may not see it: gs://nowhere-at-all/")
    assert told.endswith("gcloud storage buckets create gs://nowhere-at-all\n")
