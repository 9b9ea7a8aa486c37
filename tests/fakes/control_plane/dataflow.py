"""Dataflow: jobs as Beam submits them, refused as Google does, and really run, with what was staged for them alone."""

import hashlib
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.dataflow_runs import Failed, Run
from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_labels, check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

JOBS = "v1b3/projects/{project}/locations/{location}/jobs"
JOB = JOBS + "/{key}"

REGIONS = ("us-central1", "us-east1", "us-west1", "europe-west1", "europe-west3", "europe-west4", "asia-east1")
#: Jobs of a project at a time.
MOST = 25

_JOB = (
    *("id", "projectId", "name", "type", "environment", "steps", "stepsLocation", "currentState", "requestedState"),
    *("replaceJobId", "transformNameMapping", "clientRequestId", "labels", "location", "createdFromSnapshotId"),
)
_ENVIRONMENT = (
    *("tempStoragePrefix", "clusterManagerApiService", "experiments", "serviceOptions", "serviceKmsKeyName"),
    *("workerPools", "userAgent", "version", "dataset", "sdkPipelineOptions", "internalExperiments"),
    *("serviceAccountEmail", "flexResourceSchedulingGoal", "workerRegion", "workerZone", "debugOptions"),
)
_POOL = (
    *("kind", "numWorkers", "packages", "machineType", "taskrunnerSettings", "autoscalingSettings", "diskSizeGb"),
    *("sdkHarnessContainerImages", "workerHarnessContainerImage", "numThreadsPerWorker", "ipConfiguration"),
    *("network", "subnetwork", "zone", "diskType", "dataDisks", "metadata", "defaultPackageSet", "teardownPolicy"),
)
_MACHINE = re.compile(r"[a-z][a-z0-9]*-(standard|highmem|highcpu)-\d+")
#: By their numbers, as clients of the proto send and ask them.
_IMPORTANCE = {"1": "DEBUG", "2": "DETAILED", "5": "BASIC", "3": "WARNING", "4": "ERROR"}
_RANKS = ("DEBUG", "DETAILED", "BASIC", "WARNING", "ERROR")
_STATES = {2: "RUNNING", 3: "DONE", 5: "CANCELLED", 7: "DRAINING"}
_ENDED = ("JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


@dataclass
class Submitted:
    """A job. Args: resource: as the API tells of it."""

    resource: dict[str, Any]
    run: Run
    messages: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        return self.resource["currentState"] not in _ENDED


class Dataflow(Api):
    """``free``: while it is cleared no job begins to work, so that a test meets one that runs."""

    name = "dataflow"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.jobs: dict[str, Submitted] = {}
        self.free = threading.Event()
        self.free.set()
        self._threads: list[threading.Thread] = []

    @route("POST", JOBS, "dataflow.jobs.create")
    def create(self, request: Request, project: str, location: str) -> dict[str, Any]:
        body = request.json(*_JOB)
        required(body, "name", "type", "environment", "clientRequestId")
        self._check_place(location)
        check_name("job name", body["name"], r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?")
        check_labels(body.get("labels", {}))
        if body["type"] not in (1, "JOB_TYPE_BATCH"):
            raise ApiError(400, f"The fake runs batch jobs only, and no {body['type']}.")
        active = [job for job in self.jobs.values() if job.is_active]
        for job in active:
            if job.resource["name"] == body["name"] and job.resource["location"] == location:
                # As for a request that came twice: who asks sees that it is not the job that it wanted.
                return job.resource
        if len(active) >= MOST:
            raise ApiError(429, f"Quota exceeded for quota metric 'Concurrent Dataflow jobs': the limit is {MOST}.")
        run = self._checked(body["environment"], request.caller)
        key = f"2026-01-01_00_00_{len(self.jobs):02}-{int(hashlib.sha256(str(body).encode()).hexdigest()[:15], 16)}"
        now = self.plane.now()
        resource = body | {"id": key, "projectId": project, "location": location, "createTime": now}
        resource |= {"currentState": "JOB_STATE_PENDING", "currentStateTime": now}
        # The answer is of before it begins.
        self.jobs[key] = Submitted(dict(resource), run)
        thread = threading.Thread(target=self._work, args=(self.jobs[key],), daemon=True)
        self._threads.append(thread)
        thread.start()
        return resource

    @route("GET", JOBS, "dataflow.jobs.list")
    def list(self, request: Request, project: str, location: str) -> dict[str, Any]:
        self._check_place(location)
        return page("jobs", [job.resource for job in self.jobs.values() if job.resource["location"] == location])

    @route("GET", JOB, "dataflow.jobs.get")
    def get(self, _: Request, project: str, location: str, key: str) -> dict[str, Any]:
        return self._existing(location, key).resource

    @route("PUT", JOB, "dataflow.jobs.cancel")
    def update(self, request: Request, project: str, location: str, key: str) -> dict[str, Any]:
        job = self._existing(location, key)
        asked = str(request.json(*_JOB).get("requestedState", ""))
        wanted = _STATES.get(int(asked), "") if asked.isdecimal() else asked.removeprefix("JOB_STATE_")
        if wanted != "CANCELLED":
            raise ApiError(400, f"(fake): Job cannot be set to {asked}.")
        if not job.is_active:
            raise ApiError(400, f"(fake): Could not modify job: it is in state {job.resource['currentState']}.")
        job.run.stop()
        self._become(job, "CANCELLED")
        return job.resource

    @route("GET", JOB + "/messages", "dataflow.messages.list")
    def messages(self, request: Request, project: str, location: str, key: str) -> dict[str, Any]:
        asked = request.query.get("minimumImportance", "1")
        least = _IMPORTANCE.get(asked, asked.removeprefix("JOB_MESSAGE_"))
        wanted = [f"JOB_MESSAGE_{name}" for name in _RANKS[_RANKS.index(least) :]]
        found = [one for one in self._existing(location, key).messages if one["messageImportance"] in wanted]
        return page("jobMessages", found)

    @route("GET", JOB + "/metrics", "dataflow.metrics.get")
    def metrics(self, _: Request, project: str, location: str, key: str) -> dict[str, Any]:
        found = []
        for counter in self._existing(location, key).counters:
            context = {"namespace": counter["namespace"], "step": counter["step"]}
            for more in ({}, {"tentative": "true"}):
                name = {"origin": "user", "name": counter["name"], "context": context | more}
                found.append({"name": name, "scalar": counter["value"], "updateTime": self.plane.now()})
        return page("metrics", found)

    def say(self, job: Submitted, importance: str, text: str) -> None:
        """What Dataflow tells of a job."""
        key = f"{len(job.messages):04}"
        told = {"id": key, "time": self.plane.now(), "messageText": text}
        job.messages.append(told | {"messageImportance": f"JOB_MESSAGE_{importance}"})

    def stop_all(self) -> None:
        for job in self.jobs.values():
            job.run.stop()
        self.free.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _work(self, job: Submitted) -> None:
        self.say(job, "BASIC", f"Worker configuration: {job.run.machine} in {job.resource['location']}.")
        self._become(job, "RUNNING")
        self.free.wait()
        try:
            job.counters = job.run.counters()
        except Failed as exc:
            if job.is_active:
                self.say(job, "ERROR", str(exc))
                self.say(job, "ERROR", "Workflow failed.")
                self._become(job, "FAILED")
        else:
            self._become(job, "DONE")

    def _become(self, job: Submitted, state: str) -> None:
        if job.is_active:
            job.resource |= {"currentState": f"JOB_STATE_{state}", "currentStateTime": self.plane.now()}

    def _existing(self, location: str, key: str) -> Submitted:
        job = self.jobs.get(key)
        if job is None or job.resource["location"] != location:
            raise ApiError(404, f"(fake): Information about job {key} could not be found in our system.")
        return job

    def _check_place(self, location: str) -> None:
        if location not in REGIONS:
            raise ApiError(
                400,
                "The workflow could not be created, since it was sent to an invalid regional endpoint "
                f"({location}). Please resubmit to a valid Cloud Dataflow regional endpoint.",
            )

    def _checked(self, environment: dict[str, Any], caller: str) -> Run:
        """What is to be run. Raises ApiError for what Dataflow does not start."""
        only(environment, _ENVIRONMENT, "job.environment")
        required(environment, "userAgent", "version", "workerPools", "sdkPipelineOptions", "tempStoragePrefix")
        if environment["version"].get("job_type") != "FNAPI_BATCH":
            raise ApiError(400, f"Unsupported job type: {environment['version']}.")
        self._bucket(environment["tempStoragePrefix"])
        account = environment.get("serviceAccountEmail") or f"{self.plane.number}-compute@developer.gserviceaccount.com"
        self._check_account(account, caller)
        [pool] = environment["workerPools"]
        machine = self._checked_pool(pool)
        options = environment["sdkPipelineOptions"].get("options", {})
        required(options, "pipelineUrl", "pipelineProtoHash")
        pipeline = self._staged(options["pipelineUrl"].removeprefix("gs://"))
        if hashlib.sha256(pipeline).hexdigest() != options["pipelineProtoHash"]:
            raise ApiError(400, "The staged pipeline is not the one that was submitted.")
        packages = self._packages(pool.get("packages", []))
        return Run(self.plane, account, machine, pipeline, packages)

    def _checked_pool(self, pool: dict[str, Any]) -> str:
        only(pool, _POOL, "job.environment.worker_pools[0]")
        required(pool, "kind", "workerHarnessContainerImage", "sdkHarnessContainerImages")
        machine = str(pool.get("machineType", "n1-standard-1"))
        if pool["kind"] != "harness" or not _MACHINE.fullmatch(machine):
            raise ApiError(400, f"Invalid value for field 'machineType': '{machine}' of the pool {pool['kind']}.")
        most = int(pool.get("autoscalingSettings", {}).get("maxNumWorkers", 1))
        if not 1 <= most <= 1000:
            raise ApiError(400, f"Invalid maxNumWorkers: {most}. It must be 1 to 1000.")
        return machine

    def _packages(self, listed: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        found = {}
        for one in listed:
            only(one, ("name", "location"), "job.environment.worker_pools[0].packages")
            required(one, "name", "location")
            found[str(one["name"])] = self._staged(one["location"].removeprefix("storage.googleapis.com/"))
        return found

    def _check_account(self, account: str, caller: str) -> None:
        place = f"{self.plane.project_name}/serviceAccounts/{account}"
        if not self.plane.accounts.exists(account) or not self.plane.may(caller, "iam.serviceAccounts.actAs", place):
            raise ApiError(
                403,
                f"Current user cannot act as service account {account}. Enforced by Org Policy constraint "
                "constraints/dataflow.enforceComputeDefaultServiceAccountCheck.",
            )
        asked = Asked("")
        if not self.plane.may(account, "dataflow.workItems.lease", self.plane.project_name, asked):
            raise ApiError(400, f"The service account {account} lacks roles/dataflow.worker in {self.plane.project}.")

    def _bucket(self, path: str) -> None:
        name = path.removeprefix("storage.googleapis.com/").partition("/")[0]
        if name not in self.plane.storage.buckets:
            raise ApiError(400, f"The bucket {name} of tempStoragePrefix does not exist.")

    def _staged(self, path: str) -> bytes:
        bucket, _, name = path.partition("/")
        there = self.plane.storage.buckets.get(bucket)
        if there is None or name not in there.live:
            raise ApiError(400, f"Unable to open template file or package: gs://{path}.")
        return there.live[name].data
