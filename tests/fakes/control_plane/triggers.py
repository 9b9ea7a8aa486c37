"""Cloud Build: connected repositories, and the triggers that listen to them."""

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

PLACE = "v1/projects/{project}/locations/{location}/triggers"
CONNECTIONS = "v2/projects/{project}/locations/{location}/connections"
REPOSITORIES = CONNECTIONS + "/{connection}/repositories"
_NAME = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}[a-zA-Z0-9])?"
_FIELDS = (
    *("name", "description", "filename", "build", "autodetect", "substitutions", "serviceAccount", "tags", "disabled"),
    *("github", "repositoryEventConfig", "gitFileSource", "sourceToBuild", "includedFiles", "ignoredFiles", "filter"),
    *("approvalConfig", "includeBuildLogs", "eventType", "webhookConfig", "pubsubConfig", "triggerTemplate", "id"),
    *("createTime", "resourceName"),
)
_EVENTS = ("repositoryEventConfig", "github", "sourceToBuild", "triggerTemplate", "webhookConfig", "pubsubConfig")
_CONFIGS = ("filename", "build", "autodetect", "gitFileSource")
_REPOSITORY = re.compile(r"projects/[^/]+/locations/([^/]+)/connections/([^/]+)/repositories/([^/]+)")


class Triggers:
    """Mixed into Cloud Build's routes."""

    plane: "ControlPlane"

    def __init__(self) -> None:
        super().__init__()
        self.triggers: dict[str, dict[str, Any]] = {}
        self.connections: dict[tuple[str, str], dict[str, Any]] = {}
        self.repositories: dict[str, dict[str, Any]] = {}

    # Connections and their repositories.

    @route("POST", CONNECTIONS, "cloudbuild.connections.create")
    def create_connection(self, request: Request, project: str, location: str) -> dict[str, Any]:
        body, name = request.json("githubConfig", "annotations", "disabled"), request.query.get("connectionId", "")
        if "githubConfig" not in body:
            raise ApiError(400, "A connection needs a connection config.")
        check_name("connection_id", name, _NAME)
        if (location, name) in self.connections:
            raise ApiError(409, f"Resource '{name}' already exists")
        full = f"{self.plane.project_name}/locations/{location}/connections/{name}"
        state = {
            "stage": "PENDING_USER_OAUTH",
            "message": "Please log in to https://github.com using a robot account and then follow this link",
            "actionUri": f"{self.plane.proxy}/{LogIn.name}/{location}/{name}",
        }
        self.connections[location, name] = body | {"name": full, "installationState": state}
        place = full.partition("/connections/")[0]
        return self.plane.operations.start(request, place, {}, lambda: self.connections[location, name])

    @route("GET", CONNECTIONS + "/{connection}", "cloudbuild.connections.get")
    def get_connection(self, _: Request, project: str, location: str, connection: str) -> dict[str, Any]:
        if (location, connection) not in self.connections:
            raise ApiError(404, f"Resource '{connection}' was not found")
        return self.connections[location, connection]

    @route("POST", REPOSITORIES, "cloudbuild.repositories.create")
    def create_repository(self, request: Request, project: str, location: str, connection: str) -> dict[str, Any]:
        known = self.get_connection(request, project, location, connection)
        if known["installationState"]["stage"] != "COMPLETE":
            raise ApiError(400, "The connection's installation is not complete.", "FAILED_PRECONDITION")
        body, name = request.json("remoteUri", "annotations"), request.query.get("repositoryId", "")
        check_name("repository_id", name, r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62})")
        if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+\.git", body.get("remoteUri", "")):
            raise ApiError(400, f"Invalid remote URI: '{body.get('remoteUri', '')}'.")
        full = f"{known['name']}/repositories/{name}"
        if full in self.repositories:
            raise ApiError(409, f"Resource '{name}' already exists")
        self.repositories[full] = body | {"name": full}
        place = full.partition("/connections/")[0]
        return self.plane.operations.start(request, place, {}, lambda: self.repositories[full])

    @route("GET", REPOSITORIES + "/{repository}", "cloudbuild.repositories.get")
    def get_repository(self, request: Request, project: str, location: str, *place: str) -> dict[str, Any]:
        name = f"{self.get_connection(request, project, location, place[0])['name']}/repositories/{place[1]}"
        if name not in self.repositories:
            raise ApiError(404, f"Resource '{place[1]}' was not found")
        return self.repositories[name]

    @route("GET", "v2/projects/{project}/locations/{location}/operations/{key}")
    def connecting(self, request: Request, *_: str) -> dict[str, Any]:
        return self.plane.operations.get(request.path.partition("/v2/")[2])

    # Triggers.

    @route("GET", PLACE, "cloudbuild.builds.list")
    def list_triggers(self, _: Request, project: str, location: str) -> dict[str, Any]:
        found = [trigger for trigger in self.triggers.values() if f"/locations/{location}/" in trigger["resourceName"]]
        return page("triggers", found)

    @route("POST", PLACE, "cloudbuild.builds.create")
    def create_trigger(self, request: Request, project: str, location: str) -> dict[str, Any]:
        body = request.json(*_FIELDS)
        self._check_trigger(body, request.caller, location)
        if any(known["name"] == body["name"] for known in self.triggers.values()):
            raise ApiError(409, f"trigger with name {body['name']} already exists")
        key = str(uuid4())
        place = f"projects/{self.plane.project}/locations/{location}/triggers/{key}"
        self.triggers[key] = body | {"id": key, "createTime": self.plane.now(), "resourceName": place}
        return self.triggers[key]

    @route("GET", PLACE + "/{key}", "cloudbuild.builds.get")
    def get_trigger(self, _: Request, project: str, location: str, key: str) -> dict[str, Any]:
        return self._trigger(key)

    @route("PATCH", PLACE + "/{key}", "cloudbuild.builds.update")
    def patch_trigger(self, request: Request, project: str, location: str, key: str) -> dict[str, Any]:
        """What the mask names is changed; without one, all is replaced."""
        known, body = self._trigger(key), request.json(*_FIELDS)
        named = {path.partition(".")[0] for path in request.mask()}
        kept = {name: known[name] for name in ("id", "createTime", "resourceName", "name")}
        changed = known | {name: body[name] for name in named if name in body} if named else body
        self._check_trigger(changed | kept, request.caller, location)
        self.triggers[kept["id"]] = changed | kept
        return self.triggers[kept["id"]]

    @route("DELETE", PLACE + "/{key}", "cloudbuild.builds.update")
    def delete_trigger(self, _: Request, project: str, location: str, key: str) -> dict[str, Any]:
        del self.triggers[self._trigger(key)["id"]]
        return {}

    def _trigger(self, key: str) -> dict[str, Any]:
        for trigger in self.triggers.values():
            if key in (trigger["id"], trigger["name"]):
                return trigger
        raise ApiError(404, f"Trigger {key} was not found.")

    def _check_trigger(self, body: dict[str, Any], caller: str, location: str) -> None:
        required(body, "name", "serviceAccount")
        check_name("trigger name", body["name"], _NAME)
        events = [name for name in _EVENTS if name in body]
        if len(events) != 1:
            raise ApiError(400, f"A trigger needs one event, and has: {', '.join(events) or 'none'}.")
        if "repositoryEventConfig" in body:
            self._check_event(body["repositoryEventConfig"], location)
        if not any(name in body for name in _CONFIGS):
            raise ApiError(400, "A trigger needs a build config file or a build.")
        for name in body.get("substitutions", {}):
            check_name("substitution", name, r"_[A-Z0-9_]+")
        self.check_account(body, caller)

    def _check_event(self, event: dict[str, Any], location: str) -> None:
        only(event, ("repository", "repositoryType", "push", "pullRequest"), "repository_event_config")
        place = _REPOSITORY.fullmatch(event.get("repository", ""))
        if place is None or event["repository"] not in self.repositories:
            raise ApiError(404, f"The repository {event.get('repository', '')} was not found.")
        if place[1] != location:
            raise ApiError(400, f"The trigger is in {location}, and its repository in {place[1]}.")
        push = event.get("push") or event.get("pullRequest") or {}
        if len({"branch", "tag"} & set(push)) != 1:
            raise ApiError(400, "A repository event needs a branch or a tag.")
        try:
            re.compile(push.get("branch", push.get("tag", "")))
        except re.error as exc:
            raise ApiError(400, f"Invalid regular expression: {exc}") from exc

    def check_account(self, body: dict[str, Any], caller: str) -> None:
        """Raises ApiError where the caller may not have something run as the account that the body names."""
        account = body.get("serviceAccount", "").rpartition("/")[2]
        if not account:
            return
        place = f"{self.plane.project_name}/serviceAccounts/{account}"
        if not self.plane.accounts.exists(account) or not self.plane.may(caller, "iam.serviceAccounts.actAs", place):
            raise ApiError(403, f"caller does not have permission to act as service account {account}")


class LogIn(Api):
    """Where a person goes in a browser: he lets the connection speak for him at GitHub."""

    name = "log-in"
    is_open = True

    def __init__(self, triggers: Triggers) -> None:
        super().__init__()
        self.connections = triggers.connections

    @route("GET", "{location}/{connection}")
    def log_in(self, _: Request, location: str, connection: str) -> dict[str, Any]:
        self.connections[location, connection]["installationState"] = {"stage": "COMPLETE"}
        return self.connections[location, connection]
