"""Artifact Registry: repositories, their clean-up and their policies."""

from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_labels, check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

REPOSITORIES = "v1/projects/{project}/locations/{location}/repositories"
REPOSITORY = REPOSITORIES + "/{repository}"
FIELDS = (
    *("name", "format", "description", "labels", "mode", "kmsKeyName", "cleanupPolicies", "cleanupPolicyDryRun"),
    *(
        "dockerConfig",
        "vulnerabilityScanningConfig",
        "disallowUnspecifiedMode",
        "createTime",
        "updateTime",
        "sizeBytes",
    ),
)


class ArtifactRegistry(Api):
    name = "artifactregistry"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.repositories: dict[str, dict[str, Any]] = {}

    @route("GET", REPOSITORIES, "artifactregistry.repositories.list")
    def list(self, _: Request, project: str, location: str) -> dict[str, Any]:
        inside = f"/locations/{location}/"
        found = [kept for name, kept in self.repositories.items() if inside in name or location == "-"]
        return page("repositories", found)

    @route("POST", REPOSITORIES, "artifactregistry.repositories.create")
    def create(self, request: Request, project: str, location: str) -> dict[str, Any]:
        repository = request.query.get("repositoryId", "")
        check_name("repository_id", repository, r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
        body = request.json(*FIELDS)
        required(body, "format")
        name = self._name(location, repository)
        if name in self.repositories:
            raise ApiError(409, "the repository already exists")
        self._check(body)

        def work() -> dict[str, Any]:
            self.repositories[name] = body | {
                "name": name,
                "createTime": self.plane.now(),
                "mode": "STANDARD_REPOSITORY",
            }
            kind = "type.googleapis.com/google.devtools.artifactregistry.v1.Repository"
            return {"@type": kind} | self.repositories[name]

        return self.plane.operations.start(request, f"projects/{project}/locations/{location}", {}, work)

    @route("GET", REPOSITORY, "artifactregistry.repositories.get")
    def get(self, _: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        return self._existing(location, repository)

    @route("GET", REPOSITORY + "/dockerImages", "artifactregistry.repositories.downloadArtifacts")
    def images(self, _: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        name = self._existing(location, repository)["name"]
        place = f"{location}-docker.pkg.dev/{self.plane.project}/{repository}/"
        uris = [uri for uri in self.plane.instances.images if uri.startswith(place) and "@" in uri]
        found = [{"name": f"{name}/dockerImages/{uri.removeprefix(place)}", "uri": uri, "tags": []} for uri in uris]
        return page("dockerImages", found)

    @route("PATCH", REPOSITORY, "artifactregistry.repositories.update")
    def patch(self, request: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        found, body = self._existing(location, repository), request.json(*FIELDS)
        self._check(body)
        for path in request.mask():
            if path not in FIELDS:
                raise ApiError(400, f"Invalid field mask: {path}")
            found[path] = body.get(path)
        return found

    @route("DELETE", REPOSITORY, "artifactregistry.repositories.delete")
    def delete(self, request: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        name = self._existing(location, repository)["name"]

        def work() -> dict[str, Any]:
            self.plane.policies.forget(name)
            del self.repositories[name]
            return {"@type": "type.googleapis.com/google.protobuf.Empty"}

        return self.plane.operations.start(request, f"projects/{project}/locations/{location}", {}, work)

    @route("GET", "v1/projects/{project}/locations/{location}/operations/{operation}")
    def operation(self, _: Request, project: str, location: str, operation: str) -> dict[str, Any]:
        return self.plane.operations.get(f"projects/{project}/locations/{location}/operations/{operation}")

    @route("GET", REPOSITORY + ":getIamPolicy", "artifactregistry.repositories.getIamPolicy")
    def get_policy(self, _: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        return self.plane.policies.get(self._existing(location, repository)["name"])

    @route("POST", REPOSITORY + ":setIamPolicy", "artifactregistry.repositories.setIamPolicy")
    def set_policy(self, request: Request, project: str, location: str, repository: str) -> dict[str, Any]:
        policy = request.json("policy", "updateMask").get("policy", {})
        return self.plane.policies.set(self._existing(location, repository)["name"], policy)

    def _check(self, body: dict[str, Any]) -> None:
        """Raises ApiError; sets the words of enumerations in capitals, as Google does."""
        check_labels(body.get("labels", {}))
        for name, policy in (body.get("cleanupPolicies") or {}).items():
            only(policy, ("id", "action", "condition", "mostRecentVersions"), f"cleanup_policies[{name}]")
            policy["action"] = str(policy.get("action")).upper()
            if policy["action"] not in ("DELETE", "KEEP"):
                raise ApiError(400, f"Clean-up policy {name} has the action {policy.get('action')}.")
            if ("condition" in policy) == ("mostRecentVersions" in policy):
                raise ApiError(400, f"Clean-up policy {name} needs a condition or mostRecentVersions, not both.")
            if "condition" in policy:
                policy["condition"] = _condition(policy["condition"])

    def _name(self, location: str, repository: str) -> str:
        return f"projects/{self.plane.project}/locations/{location}/repositories/{repository}"

    def _existing(self, location: str, repository: str) -> dict[str, Any]:
        name = self._name(location, repository)
        if name not in self.repositories:
            raise ApiError(404, f'Repository "{name}" not found')
        return self.repositories[name]


def _condition(given: dict[str, Any]) -> dict[str, Any]:
    only(given, ("tagState", "tagPrefixes", "versionNamePrefixes", "packageNamePrefixes", "olderThan", "newerThan"))
    told = dict(given)
    if "tagState" in told:
        told["tagState"] = told["tagState"].upper()
    for name in {"olderThan", "newerThan"} & set(told):
        told[name] = f"{int(float(told[name].removesuffix('s')))}s"
    return told
