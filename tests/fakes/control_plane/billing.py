"""Cloud Billing: whether somebody pays for the project."""

import re
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import Api, ApiError, Request, route

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

ACCOUNT = "billingAccounts/0A1B2C-3D4E5F-6A7B8C"


class Billing(Api):
    """Of the project that there is; who owns it may use the one account, too."""

    name = "cloudbilling"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.account = ACCOUNT

    def check(self, services: str) -> None:
        """Raises ApiError where nobody pays for what is to be enabled."""
        if not self.account:
            raise ApiError(
                400,
                f"Billing account for project '{self.plane.number}' is not found. Billing must be enabled for "
                f"activation of service(s) '{services}' to proceed.",
                "FAILED_PRECONDITION",
            )

    @route("GET", "v1/projects/{project}/billingInfo", "resourcemanager.projects.get")
    def get(self, _: Request, project: str) -> dict[str, Any]:
        known = {"name": f"projects/{project}/billingInfo", "projectId": project}
        return known | ({"billingAccountName": self.account, "billingEnabled": True} if self.account else {})

    @route("PUT", "v1/projects/{project}/billingInfo", "resourcemanager.projects.createBillingAssignment")
    def put(self, request: Request, project: str) -> dict[str, Any]:
        wanted = request.json("billingAccountName", "name", "projectId", "billingEnabled").get("billingAccountName", "")
        if wanted and not re.fullmatch(r"billingAccounts/[0-9A-F]{6}(-[0-9A-F]{6}){2}", wanted):
            raise ApiError(400, f"Invalid billing account name: {wanted}.")
        if wanted not in ("", ACCOUNT):
            raise ApiError(403, f"The caller does not have permission on {wanted}")
        self.account = wanted
        return self.get(request, project)
