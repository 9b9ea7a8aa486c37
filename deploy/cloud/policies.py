"""Who may what at one place: the grants that are missing, and those that were widened."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.cloud.configuration import Configuration
from deploy.cloud.part import Part, Step
from deploy.cloud.resources import Condition, Grant, Place
from deploy.cloud.sdk import Gcloud

#: Separates what --condition consists of; gcloud's own comma stands in the expressions.
_BETWEEN = "^;^"


class Policy(Part):
    """Args: grants: all that count at this place."""

    def __init__(self, configuration: Configuration, place: Place, grants: Sequence[Grant]) -> None:
        self.place = place
        self.grants = grants
        self.region = configuration.region
        self.name = f"who may what {_where(place)}"

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read(*self._command("get-iam-policy"))

    def steps(self, state: Any) -> list[Step]:
        found = list(_bindings(state or {}))
        missing = [
            self._step("add-iam-policy-binding", grant.role, grant.account, grant.condition, "missing")
            for grant in self.grants
            if (grant.role, grant.account, grant.condition) not in found
        ]
        wanted = {(grant.role, grant.account) for grant in self.grants}
        right = {(grant.role, grant.account, grant.condition) for grant in self.grants}
        # Removed after the right one is there, so that nobody is locked out meanwhile.
        wider = [
            self._step("remove-iam-policy-binding", *binding, "given under another condition")
            for binding in found
            if binding[:2] in wanted and binding not in right
        ]
        return missing + wider

    def _step(self, verb: str, role: str, account: str, condition: Condition | None, state: str) -> Step:
        flags = (f"--member=serviceAccount:{account}", f"--role={role}", f"--condition={_spelled(condition)}")
        only = f" ({condition.title})" if condition else ""
        what = f"{role.removeprefix('roles/')}{only} of {account.partition('@')[0]} {_where(self.place)}"
        return Step(what, state, (*self._command(verb), *flags))

    def _command(self, verb: str) -> tuple[str, ...]:
        name = self.place.name
        match self.place.kind:
            case "project":
                return ("projects", verb, name)
            case "bucket":
                return ("storage", "buckets", verb, f"gs://{name}")
            case "images":
                return ("artifacts", "repositories", verb, name, f"--location={self.region}")
            case "secret":
                return ("secrets", verb, name)
        return ("iam", "service-accounts", verb, name)


def policies(configuration: Configuration, grants: Iterable[Grant]) -> list[Policy]:
    """One for each place, in the order of the grants."""
    by_place: dict[Place, list[Grant]] = {}
    for grant in grants:
        by_place.setdefault(grant.place, []).append(grant)
    return [Policy(configuration, place, found) for place, found in by_place.items()]


def _bindings(policy: Mapping[str, Any]) -> Iterable[tuple[str, str, Condition | None]]:
    for binding in policy.get("bindings") or []:
        told = binding.get("condition")
        condition = Condition(told.get("title", ""), told["expression"]) if told else None
        for member in binding.get("members", []):
            kind, _, address = member.partition(":")
            if kind == "serviceAccount":
                yield binding["role"], address, condition


def _spelled(condition: Condition | None) -> str:
    if condition is None:
        return "None"
    return f"{_BETWEEN}expression={condition.expression};title={condition.title}"


def _where(place: Place) -> str:
    match place.kind:
        case "project":
            return "in the project"
        case "bucket":
            return f"on gs://{place.name}"
        case "account":
            return f"on the account {place.name.partition('@')[0]}"
        case "images":
            return f"on the repository {place.name}"
    return f"on the secret {place.name}"
