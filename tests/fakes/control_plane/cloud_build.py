"""Cloud Build: what builds functions, builds of one's own, and the triggers that start them."""

from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.fakes.control_plane.build_steps import Here, filled_in, run_here
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.images import BuildFailed, build
from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.triggers import Triggers

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

PLACE = "v1/projects/{project}/locations/{location}"
_BUILD = (
    *("steps", "source", "timeout", "queueTtl", "options", "substitutions", "serviceAccount", "tags", "images"),
    *("artifacts", "availableSecrets", "logsBucket", "secrets", "name", "id", "projectId", "approval", "gitConfig"),
)
_STEP = (
    *("name", "id", "args", "script", "entrypoint", "env", "dir", "waitFor", "timeout", "secretEnv", "volumes"),
    *("allowFailure", "allowExitCodes", "automapSubstitutions"),
)


class Builds(Triggers, Api):
    name = "cloudbuild"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.builds: dict[str, dict[str, Any]] = {}
        #: How the steps of builds that people ask for run; None: not at all.
        self.here: Here | None = None
        self._running: list[Thread] = []

    def join(self) -> None:
        for thread in self._running:
            thread.join(timeout=60)

    def build_function(self, location: str, name: str, config: dict[str, Any], source: bytes) -> tuple[str, str]:
        """The build's name and the image's. Raises BuildFailed, ApiError."""
        account = config["serviceAccount"].rpartition("/")[2]
        repository = (
            config.get("dockerRepository")
            or f"{self.plane.project_name}/locations/{location}/repositories/gcf-artifacts"
        )
        _, _, _, place, _, stored = repository.split("/")
        stored_as = f"gcf-v2-sources-{self.plane.number}-{location}/objects/{name}/function-source.zip"
        self.check_builder(account, repository, stored_as)
        made = build(source, config["entryPoint"], config.get("environmentVariables", {}), self.plane.folder / "images")
        uri = f"{place}-docker.pkg.dev/{self.plane.project}/{stored}/{name}@{made.digest}"
        self.plane.instances.images[uri] = made
        return self.record(location, {"serviceAccount": config["serviceAccount"]}, "SUCCESS")["name"], uri

    def check_builder(self, account: str, repository: str, source: str) -> None:
        """Raises BuildFailed where the account may not do what every build does.

        Args:
            source: BUCKET/objects/NAME of what is built.
        """
        plane = self.plane
        if repository not in plane.artifacts.repositories:
            if not repository.endswith("/gcf-artifacts"):
                raise BuildFailed(f"the Artifact Registry repository {repository} was not found")
            plane.artifacts.repositories[repository] = {"name": repository, "format": "DOCKER"}
        for permission in ("artifactregistry.repositories.uploadArtifacts", "logging.logEntries.create"):
            if not plane.may(account, permission, repository):
                raise BuildFailed(
                    "Could not build the function due to a missing permission on the build service account. "
                    f"{account} needs {permission}"
                )
        bucket, _, name = source.partition("/objects/")
        asked = Asked(f"projects/_/buckets/{bucket}/objects/{name}")
        if not plane.may(account, "storage.objects.get", f"projects/_/buckets/{bucket}", asked):
            raise BuildFailed(
                "Could not build the function due to a missing permission on the build service account. "
                f"{account} does not have storage.objects.get access to the Google Cloud Storage object {source}"
            )

    def record(self, location: str, fields: dict[str, Any], status: str) -> dict[str, Any]:
        key = str(uuid4())
        plane = self.plane
        self.builds[key] = fields | {
            "id": key,
            "name": f"projects/{plane.number}/locations/{location}/builds/{key}",
            "projectId": plane.project,
            "status": status,
            "createTime": plane.now(),
            "logUrl": f"https://console.cloud.google.com/cloud-build/builds;region={location}/{key}?project={plane.number}",
        }
        return self.builds[key]

    def operation_of(self, location: str, made: dict[str, Any]) -> dict[str, Any]:
        kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
        name = f"projects/{self.plane.project}/locations/{location}/operations/{made['id']}"
        return {"name": name, "metadata": {"@type": kind, "build": made}, "done": False}

    # What people ask for.

    @route("GET", PLACE + "/defaultServiceAccount", "cloudbuild.builds.get")
    def default_account(self, _: Request, project: str, location: str) -> dict[str, Any]:
        email = f"{self.plane.number}-compute@developer.gserviceaccount.com"
        name = f"projects/{self.plane.number}/locations/{location}/defaultServiceAccount"
        return {"name": name, "serviceAccountEmail": f"projects/{self.plane.project}/serviceAccounts/{email}"}

    @route("POST", PLACE + "/builds", "cloudbuild.builds.create")
    @route("POST", "v1/projects/{project}/builds", "cloudbuild.builds.create")
    def create(self, request: Request, project: str, location: str = "global") -> dict[str, Any]:
        body = request.json(*_BUILD)
        self._check(body)
        body = filled_in(self.plane, body, location)
        self.check_account(body, request.caller)
        made = self.record(location, body, "QUEUED")
        queued = self.operation_of(location, dict(made))
        self._running.append(Thread(target=run_here, args=(self.plane, made, self.here), daemon=True))
        self._running[-1].start()
        return queued

    @route("GET", PLACE + "/builds", "cloudbuild.builds.list")
    @route("GET", "v1/projects/{project}/builds", "cloudbuild.builds.list")
    def list(self, _: Request, project: str, location: str = "global") -> dict[str, Any]:
        return page("builds", [made for made in self.builds.values() if f"/locations/{location}/" in made["name"]])

    @route("GET", PLACE + "/builds/{key}", "cloudbuild.builds.get")
    @route("GET", "v1/projects/{project}/builds/{key}", "cloudbuild.builds.get")
    def get(self, _: Request, project: str, *place: str) -> dict[str, Any]:
        if place[-1] not in self.builds:
            raise ApiError(404, f"Build {place[-1]} was not found.")
        return self.builds[place[-1]]

    @route("GET", PLACE + "/operations/{key}", "cloudbuild.builds.get")
    def operation(self, request: Request, project: str, location: str, key: str) -> dict[str, Any]:
        made = self.get(request, project, key)
        operation = self.operation_of(location, made)
        if made["status"] not in ("QUEUED", "WORKING"):
            operation["done"] = True
            kind = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.Build"}
            failed = {"error": {"code": 2, "message": f"Build failed; {made.get('statusDetail', '')}"}}
            operation |= {"response": kind | made} if made["status"] == "SUCCESS" else failed
        return operation

    def _check(self, body: dict[str, Any]) -> None:
        required(body, "steps")
        for index, step in enumerate(body["steps"]):
            only(step, _STEP, f"build.steps[{index}]")
            required(step, "name")
            if step.get("script") and (step.get("args") or step.get("entrypoint")):
                raise ApiError(400, f"step {index}: script can't be combined with args or entrypoint.")
        logging = body.get("options", {}).get("logging")
        has_logs = body.get("logsBucket") or logging in ("CLOUD_LOGGING_ONLY", "NONE")
        if body.get("serviceAccount") and not has_logs:
            raise ApiError(
                400,
                "if 'build.service_account' is specified, the build must either (a) specify "
                "'build.logs_bucket' or (b) use the CLOUD_LOGGING_ONLY or NONE logging options",
            )


def build_failure(plane: "ControlPlane", location: str, reason: str) -> str:
    """How an operation tells of a build that failed."""
    made = plane.builds.record(location, {"statusDetail": reason}, "FAILURE")
    return (
        f"Build failed with status: FAILURE and message: {reason}. For more details see the logs at {made['logUrl']}."
    )
