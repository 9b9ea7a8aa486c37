"""Cloud Resource Manager: the one project, and its policy."""

from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import Api, ApiError, Request, route

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane


class Projects(Api):
    name = "cloudresourcemanager"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane

    @route("GET", "v1/projects/{project}", "resourcemanager.projects.get")
    def get(self, _: Request, project: str) -> dict[str, Any]:
        self._check(project)
        plane = self.plane
        return {
            "projectNumber": plane.number,
            "projectId": plane.project,
            "name": plane.project,
            "lifecycleState": "ACTIVE",
            "createTime": "2026-01-01T00:00:00Z",
        }

    @route("POST", "v1/projects/{project}:getIamPolicy", "resourcemanager.projects.getIamPolicy")
    def get_policy(self, _: Request, project: str) -> dict[str, Any]:
        self._check(project)
        return self.plane.policies.get(self.plane.project_name)

    @route("POST", "v1/projects/{project}:setIamPolicy", "resourcemanager.projects.setIamPolicy")
    def set_policy(self, request: Request, project: str) -> dict[str, Any]:
        self._check(project)
        policy = request.json("policy", "updateMask").get("policy", {})
        owners = [binding for binding in policy.get("bindings", []) if binding["role"] == "roles/owner"]
        if not any(binding.get("members") for binding in owners):
            raise ApiError(400, "A project must have an owner: the policy has no roles/owner.")
        return self.plane.policies.set(self.plane.project_name, policy)

    @route("POST", "v1/projects/{project}:testIamPermissions")
    def test_permissions(self, request: Request, project: str) -> dict[str, Any]:
        wanted = request.json("permissions").get("permissions", [])
        held = [name for name in wanted if self.plane.may(request.caller, name, self.plane.project_name)]
        return {"permissions": held} if held else {}

    def _check(self, project: str) -> None:
        if project not in (self.plane.project, self.plane.number):
            raise ApiError(403, f"Project '{project}' not found or permission denied.")
