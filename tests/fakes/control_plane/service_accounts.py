"""IAM: service accounts and their policies."""

from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import Api, ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_name
from tests.fakes.control_plane.workload_identity import WorkloadIdentity

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

ACCOUNT = "v1/projects/{project}/serviceAccounts/{email}"
MOST = 100


class ServiceAccounts(WorkloadIdentity, Api):
    name = "iam"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.accounts = plane.accounts

    @route("GET", "v1/projects/{project}/serviceAccounts", "iam.serviceAccounts.list")
    def list(self, _: Request, project: str) -> dict[str, Any]:
        return page("accounts", self.accounts.by_email.values())

    @route("POST", "v1/projects/{project}/serviceAccounts", "iam.serviceAccounts.create")
    def create(self, request: Request, project: str) -> dict[str, Any]:
        body = request.json("accountId", "serviceAccount")
        required(body, "accountId")
        shown = body.get("serviceAccount", {})
        only(shown, ("displayName", "description"), "service_account")
        check_name("accountId", body["accountId"], r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])")
        email = f"{body['accountId']}@{self.plane.project}.iam.gserviceaccount.com"
        if email in self.accounts.by_email:
            raise ApiError(
                409, f"Service account {body['accountId']} already exists within project {self.plane.project}."
            )
        if len(self.accounts.by_email) > MOST:
            raise ApiError(429, f"Maximum number of service accounts on project reached: {MOST}.")
        return self.accounts.add(email, shown.get("displayName", ""), description=shown.get("description", ""))

    @route("GET", ACCOUNT, "iam.serviceAccounts.get")
    def get(self, _: Request, project: str, email: str) -> dict[str, Any]:
        return self._existing(email)

    @route("PATCH", ACCOUNT, "iam.serviceAccounts.update")
    def patch(self, request: Request, project: str, email: str) -> dict[str, Any]:
        body = request.json("serviceAccount", "updateMask")
        account = self._existing(email)
        for path in str(body.get("updateMask", "")).split(","):
            if path not in ("displayName", "display_name", "description"):
                raise ApiError(400, f"Invalid update mask: {path}")
            name = "description" if path == "description" else "displayName"
            account[name] = body.get("serviceAccount", {}).get(name, "")
        return account

    @route("POST", ACCOUNT + ":disable", "iam.serviceAccounts.disable")
    def disable(self, _: Request, project: str, email: str) -> dict[str, Any]:
        self._existing(email)["disabled"] = True
        return {}

    @route("POST", ACCOUNT + ":enable", "iam.serviceAccounts.enable")
    def enable(self, _: Request, project: str, email: str) -> dict[str, Any]:
        self._existing(email).pop("disabled", None)
        return {}

    @route("DELETE", ACCOUNT, "iam.serviceAccounts.delete")
    def delete(self, _: Request, project: str, email: str) -> dict[str, Any]:
        self.plane.policies.forget(self._existing(email)["name"])
        del self.accounts.by_email[email]
        return {}

    @route("GET", ACCOUNT + ":getIamPolicy", "iam.serviceAccounts.getIamPolicy")
    @route("POST", ACCOUNT + ":getIamPolicy", "iam.serviceAccounts.getIamPolicy")
    def get_policy(self, _: Request, project: str, email: str) -> dict[str, Any]:
        return self.plane.policies.get(self._existing(email)["name"])

    @route("POST", ACCOUNT + ":setIamPolicy", "iam.serviceAccounts.setIamPolicy")
    def set_policy(self, request: Request, project: str, email: str) -> dict[str, Any]:
        policy = request.json("policy", "updateMask").get("policy", {})
        return self.plane.policies.set(self._existing(email)["name"], policy)

    def _existing(self, email: str) -> dict[str, Any]:
        if email not in self.accounts.by_email:
            raise ApiError(404, f"Unknown service account: {email}")
        return self.accounts.by_email[email]


class Credentials(Api):
    """IAM Credentials: tokens of service accounts, for who may have them."""

    name = "iamcredentials"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane

    @route("POST", ACCOUNT + ":generateAccessToken", "iam.serviceAccounts.getAccessToken")
    def access_token(self, request: Request, project: str, email: str) -> dict[str, Any]:
        required(request.json("scope", "lifetime", "delegates"), "scope")
        self._check(email)
        return {"accessToken": self.plane.accounts.access_token(email), "expireTime": "2100-01-01T00:00:00Z"}

    @route("POST", ACCOUNT + ":generateIdToken", "iam.serviceAccounts.getOpenIdToken")
    def id_token(self, request: Request, project: str, email: str) -> dict[str, Any]:
        body = request.json("audience", "includeEmail", "delegates", "organizationNumberIncluded")
        required(body, "audience")
        self._check(email)
        return {"token": self.plane.accounts.id_token(email, body["audience"], names=body.get("includeEmail", False))}

    def _check(self, email: str) -> None:
        if email not in self.plane.accounts.by_email:
            raise ApiError(404, f"Not found; Gaia id not found for email {email}")
