"""Cloud Run's APIs: services and revisions as Knative has them, and the newer one of policies and builds."""

from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.functions import REGIONS
from tests.fakes.control_plane.images import BuildFailed, build
from tests.fakes.control_plane.routing import Api, ApiError, Request, page, required, route

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

SPACE = "apis/serving.knative.dev/v1/namespaces/{project}"
SERVICE = SPACE + "/services/{service}"
POLICY = "v1/projects/{project}/locations/{location}/services/{service}"
_STACK = "serverless-runtimes/google-22/runtimes"
_SUBMITTED = (
    *("storageSource", "imageUri", "buildpackBuild", "dockerBuild", "serviceAccount", "workerPool", "tags"),
    "machineType",
)


class CloudRun(Api):
    name = "run"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.services = plane.services

    @route("GET", SPACE + "/services", "run.services.list")
    def list(self, request: Request, project: str) -> dict[str, Any]:
        found = [item for (place, _), item in self.services.by_name.items() if request.region in ("", place)]
        return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "metadata": {}, **page("items", found)}

    @route("GET", "v1/projects/{project}/locations/{location}/services", "run.services.list")
    def list_in(self, _: Request, project: str, location: str) -> dict[str, Any]:
        found = [item for (place, _), item in self.services.by_name.items() if location in ("-", place)]
        return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "metadata": {}, **page("items", found)}

    @route("GET", "v1/projects/{project}/locations", "run.services.list")
    def locations(self, _: Request, project: str) -> dict[str, Any]:
        return page(
            "locations", [{"name": f"projects/{project}/locations/{name}", "locationId": name} for name in REGIONS]
        )

    @route("GET", SERVICE, "run.services.get")
    def get(self, request: Request, project: str, service: str) -> dict[str, Any]:
        return self.services.get(request.region, service)

    @route("POST", SPACE + "/services", "run.services.create")
    def create(self, request: Request, project: str) -> dict[str, Any]:
        body = request.json()
        name = body.get("metadata", {}).get("name", "")
        if (request.region, name) in self.services.by_name:
            raise ApiError(409, f"Resource '{name}' already exists.")
        return self.services.apply(request.region, body, request.caller)

    @route("PUT", SERVICE, "run.services.update")
    def replace(self, request: Request, project: str, service: str) -> dict[str, Any]:
        self.services.get(request.region, service)
        body = request.json()
        if body.get("metadata", {}).get("name") != service:
            raise ApiError(400, "metadata.name does not match the resource's name.")
        return self.services.apply(request.region, body, request.caller)

    @route("DELETE", SERVICE, "run.services.delete")
    def delete(self, request: Request, project: str, service: str) -> dict[str, Any]:
        self.services.delete(request.region, service)
        return {"apiVersion": "v1", "kind": "Status", "status": "Success"}

    @route("GET", SPACE + "/revisions", "run.revisions.list")
    def list_revisions(self, request: Request, project: str) -> dict[str, Any]:
        key, _, wanted = request.query.get("labelSelector", "").replace(" ", "").partition("=")
        if key not in ("", "serving.knative.dev/service"):
            raise ApiError(400, f"Invalid labelSelector: {request.query['labelSelector']}")
        if key:
            found = self.services.of(request.region, wanted)
        else:
            found = [item for (place, _), item in self.services.revisions.items() if place == request.region]
        return {"apiVersion": "serving.knative.dev/v1", "kind": "RevisionList", "metadata": {}, **page("items", found)}

    @route("GET", SPACE + "/revisions/{revision}", "run.revisions.get")
    def get_revision(self, request: Request, project: str, revision: str) -> dict[str, Any]:
        if (request.region, revision) not in self.services.revisions:
            raise ApiError(404, f"Resource '{revision}' of kind 'REVISION' does not exist.")
        return self.services.revisions[request.region, revision]

    @route("DELETE", SPACE + "/revisions/{revision}", "run.revisions.delete")
    def delete_revision(self, request: Request, project: str, revision: str) -> dict[str, Any]:
        self.services.delete_revision(request.region, revision)
        return {"apiVersion": "v1", "kind": "Status", "status": "Success"}

    @route("GET", SPACE + "/configurations/{service}", "run.services.get")
    def get_configuration(self, request: Request, project: str, service: str) -> dict[str, Any]:
        found = self.services.get(request.region, service)
        return found | {"kind": "Configuration"}

    @route("GET", POLICY + ":getIamPolicy", "run.services.getIamPolicy")
    def get_policy(self, _: Request, project: str, location: str, service: str) -> dict[str, Any]:
        self.services.get(location, service)
        return self.plane.policies.get(self.services.policy_name(location, service))

    @route("POST", POLICY + ":setIamPolicy", "run.services.setIamPolicy")
    def set_policy(self, request: Request, project: str, location: str, service: str) -> dict[str, Any]:
        self.services.get(location, service)
        policy = request.json("policy", "updateMask").get("policy", {})
        return self.plane.policies.set(self.services.policy_name(location, service), policy)

    @route("POST", "v2/projects/{project}/locations/{location}/builds:submit", "run.builds.create")
    def submit(self, request: Request, project: str, location: str) -> dict[str, Any]:
        body = request.json(*_SUBMITTED)
        required(body, "imageUri", "storageSource")
        packs = body.get("buildpackBuild")
        if packs is None:
            raise ApiError(400, "The fake builds by buildpacks only, and no Dockerfile.")
        source = body["storageSource"]
        found = self.plane.storage.buckets.get(source["bucket"])
        if found is None or source["object"] not in found.live:
            raise ApiError(404, f"The source gs://{source['bucket']}/{source['object']} was not found.")
        compute = f"projects/-/serviceAccounts/{self.plane.number}-compute@developer.gserviceaccount.com"
        account = body.get("serviceAccount") or compute
        fault = request.operation_fault
        made = self._built(
            location, body, found.live[source["object"]].data, account, fault.operation_error if fault else ""
        )
        return {
            "buildOperation": self.plane.builds.operation_of(location, made),
            "baseImageUri": f"{location}-docker.pkg.dev/{_STACK}/{packs.get('baseImage', '')}",
        }

    def _built(self, location: str, body: dict[str, Any], data: bytes, account: str, fault: str) -> dict[str, Any]:
        """The build, which has failed where there is no image, or a fault says so."""
        uri, packs = body["imageUri"].partition(":")[0], body["buildpackBuild"]
        host, project, stored, _ = uri.split("/")
        place = host.removesuffix("-docker.pkg.dev")
        target, variables = packs.get("functionTarget", ""), packs.get("environmentVariables", {})
        fields = {"serviceAccount": account}
        try:
            repository = f"projects/{project}/locations/{place}/repositories/{stored}"
            source = f"{body['storageSource']['bucket']}/objects/{body['storageSource']['object']}"
            self.plane.builds.check_builder(account.rpartition("/")[2], repository, source)
            if fault:
                raise BuildFailed(fault)
            image = build(data, target, variables, self.plane.folder / "images")
        except BuildFailed as exc:
            return self.plane.builds.record(location, fields | {"statusDetail": str(exc)}, "FAILURE")
        for name in (body["imageUri"], uri, f"{uri}@{image.digest}"):
            self.plane.instances.images[name] = image
        results = {"images": [{"name": body["imageUri"], "digest": image.digest}]}
        return self.plane.builds.record(location, fields | {"results": results}, "SUCCESS")
