"""IAM policies of all kinds of resources: bindings with conditions, written against an etag."""

import base64
import re
import threading
from collections.abc import Callable
from typing import Any

from tests.fakes.control_plane import conditions
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.roles import ROLES, grants
from tests.fakes.control_plane.routing import ApiError, only, required

_MEMBER = re.compile(r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|principal|principalSet):\S+")
_BINDINGS_MOST = 1500


class Policies:
    """By the full name of the resource.

    Args:
        exists: whether there is a service account of this address.
        sets_of: the sets of principals that an identity is in.
    """

    def __init__(self, exists: Callable[[str], bool], sets_of: Callable[[str], set[str]]) -> None:
        self._sets_of = sets_of
        self.by_resource: dict[str, dict[str, Any]] = {}
        self._exists = exists
        self._serials: dict[str, int] = {}
        self._lock = threading.Lock()

    def get(self, resource: str) -> dict[str, Any]:
        with self._lock:
            policy = self.by_resource.get(resource, {"version": 1})
            return policy | {"etag": self._etag(resource)}

    def set(self, resource: str, policy: dict[str, Any]) -> dict[str, Any]:
        """Raises ApiError for a policy that Google refuses, and where it is not the one that was read."""
        only(policy, ("version", "bindings", "etag", "auditConfigs", "kind", "resourceId"), "policy")
        bindings = policy.get("bindings", [])
        if sum(len(binding.get("members", [])) for binding in bindings) > _BINDINGS_MOST:
            raise ApiError(400, f"The number of members in the policy is larger than the limit of {_BINDINGS_MOST}.")
        for binding in bindings:
            self._check(binding, policy.get("version", 1))
        with self._lock:
            if policy.get("etag") and policy["etag"] != self._etag(resource):
                raise ApiError(
                    409,
                    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                    "backoff. The request's ETag did not match the current policy's ETag.",
                    "ABORTED",
                )
            self._serials[resource] = self._serials.get(resource, 0) + 1
            kept = [binding for binding in bindings if binding.get("members")]
            version = 3 if any("condition" in binding for binding in kept) else 1
            self.by_resource[resource] = {"version": version, "bindings": kept}
            return self.by_resource[resource] | {"etag": self._etag(resource)}

    def forget(self, resource: str) -> None:
        with self._lock:
            self.by_resource.pop(resource, None)

    def bindings(self, resource: str) -> list[dict[str, Any]]:
        return list(self.by_resource.get(resource, {}).get("bindings", []))

    def allows(self, account: str, permission: str, resource: str, asked: Asked | None = None) -> bool:
        """Whether the resource's own policy lets the account."""
        names = _names(account) | self._sets_of(account)
        return any(
            not names.isdisjoint(binding["members"])
            and grants(binding["role"], permission)
            and _condition_holds(binding, asked)
            for binding in self.bindings(resource)
        )

    def _check(self, binding: dict[str, Any], version: int) -> None:
        only(binding, ("role", "members", "condition"), "policy.bindings")
        required(binding, "role")
        if binding["role"] not in ROLES:
            raise ApiError(400, f"Role {binding['role']} is not supported for this resource.")
        for member in binding.get("members", []):
            if not _MEMBER.fullmatch(member):
                raise ApiError(400, f"Invalid argument: Principal {member} is of an unknown type.")
            address = member.partition(":")[2]
            if address.endswith(".iam.gserviceaccount.com") and not self._exists(address):
                raise ApiError(400, f"Service account {address} does not exist.")
        condition = binding.get("condition")
        if condition is not None:
            only(condition, ("title", "description", "expression", "location"), "policy.bindings.condition")
            required(condition, "title", "expression")
            if version != 3:
                raise ApiError(400, "Bindings with conditions require policy version 3.")
            conditions.check(condition["expression"])

    def _etag(self, resource: str) -> str:
        return base64.b64encode(f"BwY{self._serials.get(resource, 0):09}".encode()).decode()


def _names(account: str) -> set[str]:
    """By which policies mean the account."""
    names = {f"serviceAccount:{account}", f"user:{account}", account, "allUsers"}
    return names | ({"allAuthenticatedUsers"} if account else set())


def _condition_holds(binding: dict[str, Any], asked: Asked | None) -> bool:
    if "condition" not in binding:
        return True
    return asked is not None and conditions.holds(binding["condition"]["expression"], asked)
