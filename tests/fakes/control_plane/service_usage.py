"""Service Usage: which APIs a project has."""

from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import Api, ApiError, Request, page, route

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

#: What a new project has.
FROM_THE_START = {"storage.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com"}

#: The APIs of the fake that answer only where they are enabled, by their names in paths.
GATED = {
    "cloudfunctions": "cloudfunctions.googleapis.com",
    "run": "run.googleapis.com",
    "cloudbuild": "cloudbuild.googleapis.com",
    "artifactregistry": "artifactregistry.googleapis.com",
    "cloudscheduler": "cloudscheduler.googleapis.com",
    "secretmanager": "secretmanager.googleapis.com",
    "iam": "iam.googleapis.com",
    "iamcredentials": "iamcredentials.googleapis.com",
    "sts": "sts.googleapis.com",
    "dataflow": "dataflow.googleapis.com",
}
KNOWN = (
    FROM_THE_START
    | set(GATED.values())
    | {
        "cloudresourcemanager.googleapis.com",
        "compute.googleapis.com",
        "serviceusage.googleapis.com",
        "eventarc.googleapis.com",
        "pubsub.googleapis.com",
        "cloudtrace.googleapis.com",
        "containerscanning.googleapis.com",
    }
)


class ServiceUsage(Api):
    name = "serviceusage"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.enabled = set(FROM_THE_START)

    @route("GET", "v1/projects/{project}/services", "serviceusage.services.list")
    def list(self, request: Request, project: str) -> dict[str, Any]:
        if request.query.get("filter", "state:ENABLED") != "state:ENABLED":
            raise ApiError(400, f"Invalid filter: {request.query['filter']}")
        return page("services", [self._resource(name) for name in sorted(self.enabled)])

    @route("GET", "v1/projects/{project}/services/{service}", "serviceusage.services.get")
    def get(self, _: Request, project: str, service: str) -> dict[str, Any]:
        return self._resource(service)

    @route("POST", "v1/projects/{project}/services:batchEnable", "serviceusage.services.enable")
    def batch_enable(self, request: Request, project: str) -> dict[str, Any]:
        return self._enable(request, request.json("serviceIds").get("serviceIds", []))

    @route("POST", "v1/projects/{project}/services/{service}:enable", "serviceusage.services.enable")
    def enable(self, request: Request, project: str, service: str) -> dict[str, Any]:
        return self._enable(request, [service])

    @route("GET", "v1/operations/{name}")
    def operation(self, _: Request, name: str) -> dict[str, Any]:
        return self.plane.operations.get(f"operations/{name}")

    def _enable(self, request: Request, services: Any) -> dict[str, Any]:
        if not services or len(services) > 20:
            raise ApiError(400, f"{len(services)} services; one request takes 1 to 20.")
        unknown = sorted(set(services) - KNOWN)
        if unknown:
            raise ApiError(403, f"Not found or permission denied for service(s): {', '.join(unknown)}.")
        self.plane.billing.check(",".join(services))

        def work() -> dict[str, Any]:
            self.enabled.update(services)
            return {"services": [self._resource(service) for service in services]}

        return self.plane.operations.start(request, "", {}, work)

    def _resource(self, service: str) -> dict[str, Any]:
        return {
            "name": f"projects/{self.plane.number}/services/{service}",
            "parent": f"projects/{self.plane.number}",
            "config": {"name": service, "title": service},
            "state": "ENABLED" if service in self.enabled else "DISABLED",
        }
