"""IAM: pools of identities from elsewhere, and the providers that vouch for them."""

import re
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane import conditions
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.routing import ApiError, Request, only, page, required, route
from tests.fakes.control_plane.rules import check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

PLACE = "v1/projects/{project}/locations/{location}/workloadIdentityPools"
POOL = PLACE + "/{pool}"
PROVIDER = POOL + "/providers/{provider}"

#: Both are called so; what begins with gcp- is Google's.
_ID = r"(?!gcp-)[a-z0-9-]{4,32}"
_POOL = ("displayName", "description", "disabled")
_PROVIDER = (*_POOL, "attributeMapping", "attributeCondition", "oidc")
_OIDC = ("issuerUri", "allowedAudiences", "jwksJson")
_ATTRIBUTE = re.compile(r"google\.(subject|groups)|attribute\.[a-z0-9_]{1,100}")
#: Issuers that speak for everybody: their providers need a condition.
_SHARED = ("https://token.actions.githubusercontent.com", "https://gitlab.com", "https://app.terraform.io")


class WorkloadIdentity:
    """Mixed into IAM's routes. What is deleted stays for 30 days, and its name with it."""

    plane: "ControlPlane"

    def __init__(self) -> None:
        super().__init__()
        self.pools: dict[str, dict[str, Any]] = {}
        self.providers: dict[tuple[str, str], dict[str, Any]] = {}

    # Pools.

    @route("GET", PLACE, "iam.workloadIdentityPools.list")
    def list_pools(self, request: Request, project: str, location: str) -> dict[str, Any]:
        return page("workloadIdentityPools", _shown(self.pools.values(), request))

    @route("POST", PLACE, "iam.workloadIdentityPools.create")
    def create_pool(self, request: Request, project: str, location: str) -> dict[str, Any]:
        if location != "global":
            raise ApiError(400, f"Invalid location: {location}. Pools are global.")
        name = request.query.get("workloadIdentityPoolId", "")
        check_name("workload_identity_pool_id", name, _ID)
        if name in self.pools:
            raise ApiError(409, "Requested entity already exists")
        full = f"projects/{self.plane.number}/locations/global/workloadIdentityPools/{name}"
        self.pools[name] = {"name": full, "state": "ACTIVE"} | _set(request.json(*_POOL))
        return self._operation(request, full, self.pools[name])

    @route("GET", POOL, "iam.workloadIdentityPools.get")
    def get_pool(self, _: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        return self._pool(pool)

    @route("PATCH", POOL, "iam.workloadIdentityPools.update")
    def patch_pool(self, request: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        _patch(self._pool(pool), request, _POOL)
        return self._operation(request, self._pool(pool)["name"], self._pool(pool))

    @route("DELETE", POOL, "iam.workloadIdentityPools.delete")
    def delete_pool(self, request: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        self._pool(pool)["state"] = "DELETED"
        return self._operation(request, self._pool(pool)["name"], self._pool(pool))

    @route("POST", POOL + ":undelete", "iam.workloadIdentityPools.undelete")
    def undelete_pool(self, request: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        self._pool(pool)["state"] = "ACTIVE"
        return self._operation(request, self._pool(pool)["name"], self._pool(pool))

    # Providers.

    @route("GET", POOL + "/providers", "iam.workloadIdentityPoolProviders.list")
    def list_providers(self, request: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        found = [provider for (of, _), provider in self.providers.items() if of == pool]
        return page("workloadIdentityPoolProviders", _shown(found, request))

    @route("POST", POOL + "/providers", "iam.workloadIdentityPoolProviders.create")
    def create_provider(self, request: Request, project: str, location: str, pool: str) -> dict[str, Any]:
        name = request.query.get("workloadIdentityPoolProviderId", "")
        check_name("workload_identity_pool_provider_id", name, _ID)
        if self._pool(pool)["state"] != "ACTIVE":
            raise ApiError(400, "The parent pool is deleted.", "FAILED_PRECONDITION")
        if (pool, name) in self.providers:
            raise ApiError(409, "Requested entity already exists")
        body = _set(request.json(*_PROVIDER))
        _check(body)
        full = f"{self._pool(pool)['name']}/providers/{name}"
        self.providers[pool, name] = {"name": full, "state": "ACTIVE"} | body
        return self._operation(request, full, self.providers[pool, name])

    @route("GET", PROVIDER, "iam.workloadIdentityPoolProviders.get")
    def get_provider(self, _: Request, project: str, location: str, pool: str, provider: str) -> dict[str, Any]:
        return self._provider(pool, provider)

    @route("PATCH", PROVIDER, "iam.workloadIdentityPoolProviders.update")
    def patch_provider(self, request: Request, project: str, location: str, pool: str, name: str) -> dict[str, Any]:
        known = dict(self._provider(pool, name))
        _patch(known, request, _PROVIDER)
        _check(known)
        self.providers[pool, name] = known
        return self._operation(request, known["name"], known)

    @route("DELETE", PROVIDER, "iam.workloadIdentityPoolProviders.delete")
    def delete_provider(self, request: Request, project: str, location: str, pool: str, name: str) -> dict[str, Any]:
        self._provider(pool, name)["state"] = "DELETED"
        return self._operation(request, self._provider(pool, name)["name"], self._provider(pool, name))

    @route("POST", PROVIDER + ":undelete", "iam.workloadIdentityPoolProviders.undelete")
    def undelete_provider(self, request: Request, project: str, location: str, pool: str, name: str) -> dict[str, Any]:
        self._provider(pool, name)["state"] = "ACTIVE"
        return self._operation(request, self._provider(pool, name)["name"], self._provider(pool, name))

    @route("GET", POOL + "/operations/{name}", "iam.workloadIdentityPools.get")
    @route("GET", PROVIDER + "/operations/{name}", "iam.workloadIdentityPools.get")
    def identity_operation(self, request: Request, *_: str) -> dict[str, Any]:
        return self.plane.operations.get(request.path.partition("/v1/")[2])

    def _operation(self, request: Request, name: str, made: dict[str, Any]) -> dict[str, Any]:
        return self.plane.operations.start(request, name, {}, lambda: made)

    def _pool(self, name: str) -> dict[str, Any]:
        if name not in self.pools:
            raise ApiError(404, "Requested entity was not found.")
        return self.pools[name]

    def _provider(self, pool: str, name: str) -> dict[str, Any]:
        if (pool, name) not in self.providers:
            raise ApiError(404, "Requested entity was not found.")
        return self.providers[pool, name]


def _set(body: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not their kind's zero, as Google tells them."""
    return {name: value for name, value in body.items() if value}


def _shown(resources: Any, request: Request) -> list[Any]:
    deleted = request.query.get("showDeleted", "").lower() == "true"
    return [one for one in resources if deleted or one["state"] != "DELETED"]


def _patch(known: dict[str, Any], request: Request, allowed: tuple[str, ...]) -> None:
    body, mask = request.json(*allowed), request.mask()
    for path in mask:
        first, _, second = path.partition(".")
        if first not in allowed or (second and first != "oidc"):
            raise ApiError(400, f"Invalid update mask: {path}")
        if second:
            known[first] = known.get(first, {}) | {second: body.get(first, {}).get(second)}
        elif body.get(first):
            known[first] = body[first]
        else:
            known.pop(first, None)
    if not mask:
        raise ApiError(400, "update_mask is required.")


def _check(body: dict[str, Any]) -> None:
    required(body, "oidc", "attributeMapping")
    only(body["oidc"], _OIDC, "workload_identity_pool_provider.oidc")
    issuer = body["oidc"].get("issuerUri", "")
    if not re.fullmatch(r"https://[^\s?#]+", issuer):
        raise ApiError(400, f"Invalid issuer URI: '{issuer}'. It must be an HTTPS URI.")
    mapping = body["attributeMapping"]
    if "google.subject" not in mapping:
        raise ApiError(400, "The attribute mapping must contain google.subject.")
    for attribute, expression in mapping.items():
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ApiError(400, f"Invalid mapped attribute key: {attribute}")
        conditions.value_of(expression, Asked(claims={}))
    condition = body.get("attributeCondition", "")
    if condition:
        conditions.holds(condition, Asked(claims={}))
    if "assertion." not in condition and issuer.startswith(_SHARED):
        raise ApiError(400, "The attribute condition must reference one of the provider's claims.")
