"""Cloud Functions, second generation: source that is uploaded, built, and made a service of Cloud Run."""

import copy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.fakes.control_plane.cloud_build import build_failure
from tests.fakes.control_plane.functions_form import check_function, completed, merged, template_of
from tests.fakes.control_plane.images import BuildFailed
from tests.fakes.control_plane.routing import Answer, Api, ApiError, Request, page, required, route
from tests.fakes.control_plane.rules import check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

PLACE = "v2/projects/{project}/locations/{location}"
FUNCTION = PLACE + "/functions/{function}"
RUNTIMES = ("python310", "python311", "python312", "python313", "python314")
REGIONS = ("us-central1", "us-east1", "europe-west1", "europe-west4", "asia-east1")
MOST = 1000
_METADATA = "type.googleapis.com/google.cloud.functions.v2.OperationMetadata"
_STAGES = ("BUILD", "SERVICE")


class Functions(Api):
    name = "cloudfunctions"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.by_name: dict[tuple[str, str], dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}

    @route("GET", PLACE + "/functions", "cloudfunctions.functions.list")
    def list(self, _: Request, project: str, location: str) -> dict[str, Any]:
        found = [key for key in sorted(self.by_name) if location in ("-", key[0])]
        return page("functions", [self._shown(*key) for key in found])

    @route("GET", "v1/projects/{project}/locations", "cloudfunctions.functions.list")
    @route("GET", "v2/projects/{project}/locations", "cloudfunctions.functions.list")
    def locations(self, _: Request, project: str) -> dict[str, Any]:
        return page(
            "locations", [{"name": f"projects/{project}/locations/{name}", "locationId": name} for name in REGIONS]
        )

    @route("GET", "v1/projects/{project}/locations/{location}/functions", "cloudfunctions.functions.list")
    def first_generation(self, _: Request, project: str, location: str) -> dict[str, Any]:
        """There are none: gcloud asks for both generations."""
        return {}

    @route("GET", FUNCTION, "cloudfunctions.functions.get")
    def get(self, _: Request, project: str, location: str, function: str) -> dict[str, Any]:
        self._existing(location, function)
        return self._shown(location, function)

    @route("GET", PLACE + "/runtimes", "cloudfunctions.runtimes.list")
    def runtimes(self, _: Request, project: str, location: str) -> dict[str, Any]:
        return page("runtimes", [{"name": name, "environment": "GEN_2", "stage": "GA"} for name in RUNTIMES])

    @route("POST", PLACE + "/functions:generateUploadUrl", "cloudfunctions.functions.sourceCodeSet")
    def upload_url(self, request: Request, project: str, location: str) -> dict[str, Any]:
        request.json("kmsKeyName", "environment")
        name = f"{uuid4()}.zip"
        bucket = f"gcf-v2-uploads-{self.plane.number}.{location}.cloudfunctions.appspot.com"
        self.uploads[name] = b""
        return {"uploadUrl": self.plane.upload_url(name), "storageSource": {"bucket": bucket, "object": name}}

    @route("POST", PLACE + "/functions", "cloudfunctions.functions.create")
    def create(self, request: Request, project: str, location: str) -> dict[str, Any]:
        name = request.query.get("functionId", "")
        check_name("function_id", name, r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
        if (location, name) in self.by_name:
            raise ApiError(409, f"Resource '{self._name(location, name)}' already exists")
        if len(self.by_name) >= MOST:
            raise ApiError(429, f"Quota exceeded: {MOST} functions in {location}.")
        body = request.json()
        check_function(body, RUNTIMES)
        required(body, "buildConfig")
        required(body["buildConfig"], "runtime", "entryPoint", "source")
        function = completed(body, self.plane)
        function |= {"name": self._name(location, name), "state": "DEPLOYING", "createTime": self.plane.now()}
        self._check_accounts(function, request.caller)
        self.by_name[location, name] = function
        return self._deploy(request, location, name, function, is_built=True)

    @route("PATCH", FUNCTION, "cloudfunctions.functions.update")
    def patch(self, request: Request, project: str, location: str, function: str) -> dict[str, Any]:
        known, body, mask = self._existing(location, function), request.json(), request.mask()
        check_function(body, RUNTIMES)
        if known["state"] == "DEPLOYING":
            raise ApiError(
                409,
                f"An operation on function {function} in region {location} in project {project} is "
                "already in progress. Please try again later.",
                "ABORTED",
            )
        wanted = completed(merged(copy.deepcopy(known), body, mask), self.plane)
        self._check_accounts(wanted, request.caller)
        known["state"] = "DEPLOYING"
        is_built = any(path.startswith("buildConfig") for path in mask) or not mask
        return self._deploy(request, location, function, wanted, is_built=is_built)

    @route("DELETE", FUNCTION, "cloudfunctions.functions.delete")
    def delete(self, request: Request, project: str, location: str, function: str) -> dict[str, Any]:
        self._existing(location, function)["state"] = "DELETING"

        def work() -> dict[str, Any]:
            del self.by_name[location, function]
            if (location, function) in self.plane.services.by_name:
                self.plane.services.delete(location, function)
            return {"@type": "type.googleapis.com/google.protobuf.Empty"}

        metadata = {"@type": _METADATA, "target": self._name(location, function), "operationType": "DELETE_FUNCTION"}
        return self.plane.operations.start(request, f"projects/{project}/locations/{location}", metadata, work)

    @route("GET", PLACE + "/operations/{operation}")
    def operation(self, _: Request, project: str, location: str, operation: str) -> dict[str, Any]:
        return self.plane.operations.get(f"projects/{project}/locations/{location}/operations/{operation}")

    @route("GET", FUNCTION + ":getIamPolicy", "cloudfunctions.functions.getIamPolicy")
    def get_policy(self, _: Request, project: str, location: str, function: str) -> dict[str, Any]:
        self._existing(location, function)
        return self.plane.policies.get(self._name(location, function))

    @route("POST", FUNCTION + ":setIamPolicy", "cloudfunctions.functions.setIamPolicy")
    def set_policy(self, request: Request, project: str, location: str, function: str) -> dict[str, Any]:
        self._existing(location, function)
        policy = request.json("policy", "updateMask").get("policy", {})
        return self.plane.policies.set(self._name(location, function), policy)

    def receive(self, name: str, request: Request) -> Answer:
        """What is put to an upload's address."""
        if name not in self.uploads or request.method != "PUT":
            raise ApiError(403, "The signed URL is not valid.")
        self.uploads[name] = request.body
        return Answer(200)

    def _deploy(
        self, request: Request, location: str, name: str, function: dict[str, Any], *, is_built: bool
    ) -> dict[str, Any]:
        stages: list[dict[str, Any]] = [{"name": stage, "state": "NOT_STARTED"} for stage in _STAGES]
        metadata = {
            "@type": _METADATA,
            "createTime": self.plane.now(),
            "target": function["name"],
            "verb": request.method.lower(),
            "apiVersion": "v2",
            "stages": stages,
            "operationType": "CREATE_FUNCTION" if request.method == "POST" else "UPDATE_FUNCTION",
        }

        def work() -> dict[str, Any]:
            if is_built:
                self._build(location, name, function)
            stages[0]["state"] = "COMPLETE"
            self._serve(location, name, function, request.caller)
            stages[1]["state"] = "COMPLETE"
            function["state"] = "ACTIVE"
            function.pop("stateMessages", None)
            function["updateTime"] = self.plane.now()
            self.by_name[location, name] = function
            return {"@type": "type.googleapis.com/google.cloud.functions.v2.Function"} | self._shown(location, name)

        def failed(message: str) -> None:
            self._fail(location, name, function, message)

        prefix = f"projects/{self.plane.project}/locations/{location}"
        return self.plane.operations.start(request, prefix, metadata, work, failed)

    def _fail(self, location: str, name: str, function: dict[str, Any], message: str) -> None:
        """What there was before serves on; a function that never served has failed."""
        known = self.by_name.get((location, name), function)
        served = (location, name) in self.plane.services.by_name
        known["state"] = "ACTIVE" if served else "FAILED"
        known["stateMessages"] = [{"severity": "ERROR", "type": "CloudRunServiceNotFound", "message": message}]

    def _build(self, location: str, name: str, function: dict[str, Any]) -> None:
        config = function["buildConfig"]
        source = config["source"].get("storageSource", {})
        data = self.uploads.get(source.get("object", ""), b"")
        try:
            if not data:
                raise BuildFailed("the source was not uploaded")
            build, uri = self.plane.builds.build_function(location, name, config, data)
        except BuildFailed as exc:
            raise ApiError(400, build_failure(self.plane, location, str(exc))) from exc
        config["build"] = build
        config["_image"] = uri

    def _serve(self, location: str, name: str, function: dict[str, Any], caller: str) -> None:
        service = template_of(function, location, name, self.plane)
        known = self.plane.services.by_name.get((location, name))
        to_latest = function["serviceConfig"].pop("allTrafficOnLatestRevision", False)
        if known is not None and not to_latest:
            service["spec"]["traffic"] = copy.deepcopy(known["spec"]["traffic"])
        self.plane.services.apply(location, service, caller)
        try:
            made = self.plane.services.wait(location, name)
        except ApiError as exc:
            raise ApiError(
                400,
                f"Could not create or update Cloud Run service {name}, Container Healthcheck failed. {exc}",
                "INTERNAL",
            ) from exc
        function["serviceConfig"] |= {
            "service": self.plane.services.policy_name(location, name),
            "uri": made["status"]["url"],
            "revision": made["status"]["latestReadyRevisionName"],
        }
        function["url"] = self.plane.front_end.function_url(location, name)

    def _check_accounts(self, function: dict[str, Any], caller: str) -> None:
        """Who deploys must be allowed to act as the accounts that the function and its build run as."""
        build = function["buildConfig"].get("serviceAccount", "").rpartition("/")[2]
        for account in filter(None, (function["serviceConfig"]["serviceAccountEmail"], build)):
            place = f"{self.plane.project_name}/serviceAccounts/{account}"
            known = self.plane.accounts.exists(account)
            if not known or not self.plane.may(caller, "iam.serviceAccounts.actAs", place):
                raise ApiError(
                    403,
                    f"Caller {caller} is missing permission 'iam.serviceaccounts.actAs' on service account "
                    f"{place} (or it may not exist).",
                )

    def _shown(self, location: str, name: str) -> dict[str, Any]:
        function = copy.deepcopy(self.by_name[location, name])
        function["buildConfig"].pop("_image", None)
        service = self.plane.services.by_name.get((location, name))
        if service is not None:
            targets = service["spec"]["traffic"]
            is_latest = any(target.get("latestRevision") and target.get("percent") == 100 for target in targets)
            function["serviceConfig"]["allTrafficOnLatestRevision"] = is_latest
        return function

    def _name(self, location: str, function: str) -> str:
        return f"projects/{self.plane.project}/locations/{location}/functions/{function}"

    def _existing(self, location: str, function: str) -> dict[str, Any]:
        if (location, function) not in self.by_name:
            raise ApiError(404, f"Resource '{self._name(location, function)}' was not found")
        return self.by_name[location, function]
