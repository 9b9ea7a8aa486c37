"""Cloud Scheduler: jobs that ask an address, with an ID token of their own."""

import base64
import copy
import re
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_name
from tests.running import DIRECT

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

JOBS = "v1/projects/{project}/locations/{location}/jobs"
JOB = JOBS + "/{job}"
_JOB = (
    *("name", "description", "httpTarget", "pubsubTarget", "appEngineHttpTarget", "schedule", "timeZone", "state"),
    *("retryConfig", "attemptDeadline", "userUpdateTime", "status", "scheduleTime", "lastAttemptTime"),
)
_TARGET = ("uri", "httpMethod", "headers", "body", "oidcToken", "oauthToken")
_FIELD = r"(\*|\d+(-\d+)?)(/\d+)?(,(\*|\d+(-\d+)?)(/\d+)?)*"
_CRON = re.compile(rf"{_FIELD}( {_FIELD}){{4}}")
_WORDS = re.compile(r"every \d+ (minutes|mins|hours)( from \d\d:\d\d to \d\d:\d\d)?|every day \d\d:\d\d")
#: Google's word for a status, as a job's last attempt keeps it.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 500: 13, 501: 12, 503: 14, 504: 4}


class Scheduler(Api):
    name = "cloudscheduler"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.jobs: dict[str, dict[str, Any]] = {}
        self._runs: list[threading.Thread] = []

    @route("GET", JOBS, "cloudscheduler.jobs.list")
    def list(self, _: Request, project: str, location: str) -> dict[str, Any]:
        return page("jobs", [job for name, job in sorted(self.jobs.items()) if f"/locations/{location}/" in name])

    @route("POST", JOBS, "cloudscheduler.jobs.create")
    def create(self, request: Request, project: str, location: str) -> dict[str, Any]:
        body = request.json(*_JOB)
        name = str(body.get("name", ""))
        check_name("job name", name, rf"projects/{self.plane.project}/locations/{location}/jobs/[a-zA-Z0-9_-]{{1,500}}")
        if name in self.jobs:
            raise ApiError(409, f"Job already exists: {name}")
        job = self._checked(body, request.caller)
        self.jobs[name] = job | {"state": "ENABLED", "userUpdateTime": self.plane.now()}
        return self.jobs[name]

    @route("GET", JOB, "cloudscheduler.jobs.get")
    def get(self, _: Request, project: str, location: str, job: str) -> dict[str, Any]:
        return self._existing(location, job)

    @route("PATCH", JOB, "cloudscheduler.jobs.update")
    def patch(self, request: Request, project: str, location: str, job: str) -> dict[str, Any]:
        known, body = self._existing(location, job), request.json(*_JOB)
        wanted = copy.deepcopy(known)
        for path in request.mask() or [key for key in body if key != "name"]:
            if path.partition(".")[0] not in _JOB:
                raise ApiError(400, f"Invalid update mask path: {path}")
            _put(wanted, path.split("."), body)
        wanted = {key: value for key, value in wanted.items() if value is not None}
        self.jobs[known["name"]] = self._checked(wanted, request.caller) | {"userUpdateTime": self.plane.now()}
        return self.jobs[known["name"]]

    @route("DELETE", JOB, "cloudscheduler.jobs.delete")
    def delete(self, _: Request, project: str, location: str, job: str) -> dict[str, Any]:
        del self.jobs[self._existing(location, job)["name"]]
        return {}

    @route("POST", JOB + ":pause", "cloudscheduler.jobs.pause")
    def pause(self, _: Request, project: str, location: str, job: str) -> dict[str, Any]:
        return self._turned(location, job, "ENABLED", "PAUSED")

    @route("POST", JOB + ":resume", "cloudscheduler.jobs.resume")
    def resume(self, _: Request, project: str, location: str, job: str) -> dict[str, Any]:
        return self._turned(location, job, "PAUSED", "ENABLED")

    @route("POST", JOB + ":run", "cloudscheduler.jobs.run")
    def run(self, _: Request, project: str, location: str, job: str) -> dict[str, Any]:
        found = self._existing(location, job)
        thread = threading.Thread(target=self.ping, args=(found["name"],), daemon=True)
        self._runs.append(thread)
        thread.start()
        return found

    def ping(self, name: str) -> int:
        """Asks the job's address now, and once more for each retry; the last status."""
        job = self.jobs[name]
        tries = 1 + int(job.get("retryConfig", {}).get("retryCount", 0))
        status = 0
        for _ in range(tries):
            job["lastAttemptTime"] = self.plane.now()
            status = self._ask(job)
            job["status"] = (
                {} if 200 <= status < 300 else {"code": _CODES.get(status, 2), "message": f"status {status}"}
            )
            if not job["status"]:
                break
        return status

    def join(self) -> None:
        """Waits until every run has ended."""
        for thread in self._runs:
            thread.join(timeout=60)

    def _ask(self, job: dict[str, Any]) -> int:
        target = job["httpTarget"]
        headers = {"User-Agent": "Google-Cloud-Scheduler", "X-CloudScheduler": "true"} | target.get("headers", {})
        if "oidcToken" in target:
            token = target["oidcToken"]
            audience = token.get("audience") or target["uri"]
            headers["Authorization"] = f"Bearer {self.plane.accounts.id_token(token['serviceAccountEmail'], audience)}"
        body = base64.b64decode(target["body"]) if target.get("body") else None
        url = self.plane.front_end.local(target["uri"])
        request = urllib.request.Request(url, body, headers, method=target.get("httpMethod", "POST"))
        try:
            with DIRECT.open(request, timeout=float(job["attemptDeadline"].removesuffix("s"))) as response:
                response.read()
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except TimeoutError:
            return 504
        except OSError:
            return 503

    def _turned(self, location: str, job: str, before: str, after: str) -> dict[str, Any]:
        found = self._existing(location, job)
        if found["state"] not in (before, after):
            raise ApiError(400, f"Job {job} is {found['state']}.", "FAILED_PRECONDITION")
        found["state"] = after
        return found

    def _checked(self, job: dict[str, Any], caller: str) -> dict[str, Any]:
        required(job, "schedule", "httpTarget")
        if not _CRON.fullmatch(job["schedule"]) and not _WORDS.fullmatch(job["schedule"]):
            raise ApiError(400, f"Schedule or time zone is invalid: '{job['schedule']}'")
        try:
            ZoneInfo(job.get("timeZone") or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ApiError(400, f"Schedule or time zone is invalid: '{job['timeZone']}'") from None
        deadline = job.get("attemptDeadline") or "180s"
        if not 15 <= float(deadline.removesuffix("s")) <= 1800:
            raise ApiError(400, f"The attempt_deadline must be between [15s, 30m], not {deadline}.")
        if not 0 <= int(job.get("retryConfig", {}).get("retryCount") or 0) <= 5:
            raise ApiError(400, "retry_count must be between 0 and 5.")
        self._check_target(job["httpTarget"], caller)
        return job | {"attemptDeadline": deadline, "timeZone": job.get("timeZone") or "UTC"}

    def _check_target(self, target: dict[str, Any], caller: str) -> None:
        only(target, _TARGET, "job.http_target")
        required(target, "uri")
        if urlsplit(target["uri"]).scheme not in ("http", "https") or not urlsplit(target["uri"]).hostname:
            raise ApiError(400, f"HttpTarget.uri must start with 'http://' or 'https://': {target['uri']}")
        if target.get("body") and target.get("httpMethod", "POST") not in ("POST", "PUT", "PATCH"):
            raise ApiError(400, f"HTTP method {target['httpMethod']} takes no body.")
        token = target.get("oidcToken", {})
        only(token, ("serviceAccountEmail", "audience"), "job.http_target.oidc_token")
        account = token.get("serviceAccountEmail")
        place = f"{self.plane.project_name}/serviceAccounts/{account}"
        if account and not self.plane.accounts.exists(account):
            raise ApiError(404, f"Requested entity was not found: {account}")
        if account and not self.plane.may(caller, "iam.serviceAccounts.actAs", place):
            raise ApiError(
                403,
                f"The principal (user or service account) lacks IAM permission "
                f'"iam.serviceAccounts.actAs" for the resource "{account}" (or the resource may not exist).',
            )

    def _existing(self, location: str, job: str) -> dict[str, Any]:
        name = f"projects/{self.plane.project}/locations/{location}/jobs/{job}"
        if name not in self.jobs:
            raise ApiError(404, f"Job not found: {name}")
        return self.jobs[name]


def _put(wanted: dict[str, Any], steps: list[str], body: dict[str, Any]) -> None:
    """What the body has at the place, or nothing where it has nothing."""
    for step in steps[:-1]:
        wanted, body = wanted.setdefault(step, {}), body.get(step, {})
    if steps[-1] in body:
        wanted[steps[-1]] = body[steps[-1]]
    else:
        wanted.pop(steps[-1], None)
