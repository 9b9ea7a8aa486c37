"""Workload Identity Federation: a system of CI elsewhere may be the deployer, by its own tokens and without a key."""

from collections.abc import Mapping
from typing import Any

from deploy.cloud.configuration import Ci, Configuration
from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud

POOL = "model-functions"
ROLE = "roles/iam.workloadIdentityUser"

_COMMAND = ("iam", "workload-identity-pools")
_WHERE = "--location=global"


class Pool(Part):
    """Where identities from elsewhere live."""

    name = f"the identity pool {POOL}"

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read(*_COMMAND, "describe", POOL, _WHERE)

    def steps(self, state: Any) -> list[Step]:
        if state is None:
            shown = "--display-name=Model Functions"
            return [Step(self.name, "missing", (*_COMMAND, "create", POOL, _WHERE, shown))]
        return _brought_back(self.name, state, _COMMAND, "update", (POOL, _WHERE))


class Provider(Part):
    """What vouches for them: the system's issuer, and the claims that a token must have.

    Args:
        known: of the system, in resources.yaml's words: ``issuer``, ``repository`` and ``claims``.
    """

    def __init__(self, ci: Ci, known: Mapping[str, Any]) -> None:
        self.name = f"the identity provider {ci.system}"
        self.provider = ci.system
        wanted = claims(ci, known)
        self.settings: dict[str, Any] = {
            "issuer": ci.issuer or str(known["issuer"]),
            # The subject is for the log of who did what; the repository is whom the role is given to.
            "mapping": {"google.subject": "assertion.sub", "attribute.repository": f"assertion.{known['repository']}"},
            "condition": " && ".join(f'assertion.{claim} == "{value}"' for claim, value in wanted.items()),
        }

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read(*_COMMAND, "providers", "describe", *self._place())

    def steps(self, state: Any) -> list[Step]:
        command = (*_COMMAND, "providers")
        if state is None:
            return [Step(self.name, "missing", (*command, "create-oidc", *self._place(), *self._flags()))]
        steps = _brought_back(self.name, state, command, "update-oidc", self._place())
        found = {
            "issuer": (state.get("oidc") or {}).get("issuerUri"),
            "mapping": state.get("attributeMapping"),
            "condition": state.get("attributeCondition"),
        }
        differing = [name for name, wanted in self.settings.items() if found[name] != wanted]
        if differing:
            told = f"another {', another '.join(differing)}"
            steps.append(Step(self.name, told, (*command, "update-oidc", *self._place(), *self._flags())))
        return steps

    def _place(self) -> tuple[str, ...]:
        return (self.provider, _WHERE, f"--workload-identity-pool={POOL}")

    def _flags(self) -> tuple[str, ...]:
        mapping = ",".join(f"{name}={value}" for name, value in self.settings["mapping"].items())
        return (
            f"--issuer-uri={self.settings['issuer']}",
            f"--attribute-mapping={mapping}",
            f"--attribute-condition={self.settings['condition']}",
        )


class Lent(Part):
    """The deployer's account, lent to the identities of the pool that are of the repository, and to no others of it."""

    def __init__(self, configuration: Configuration, ci: Ci, known: Mapping[str, Any]) -> None:
        self.project = configuration.project
        self.account = configuration.account(configuration.accounts.deployer)
        self.of = f"attribute.repository/{claims(ci, known)[known['repository']]}"
        self.name = f"who may be {configuration.accounts.deployer}"

    def read(self, gcloud: Gcloud) -> Any:
        """``number`` of the project, by which alone a pool is named, and ``policy`` of the account."""
        project = gcloud.read("projects", "describe", self.project)
        policy = gcloud.read("iam", "service-accounts", "get-iam-policy", self.account)
        return {"number": (project or {}).get("projectNumber", "NUMBER"), "policy": policy}

    def steps(self, state: Any) -> list[Step]:
        state = state or {"number": "NUMBER", "policy": None}
        pool = f"principalSet://iam.googleapis.com/projects/{state['number']}/locations/global/workloadIdentityPools/{POOL}"
        wanted = f"{pool}/{self.of}"
        bindings = (state["policy"] or {}).get("bindings") or []
        found = [
            (member, binding.get("condition"))
            for binding in bindings
            if binding["role"] == ROLE
            for member in binding.get("members", [])
        ]
        missing = [] if (wanted, None) in found else [self._step("add", wanted, "missing")]
        others = [
            self._step("remove", member, "given to another repository")
            for member, condition in found
            if member.startswith(f"{pool}/") and member != wanted and condition is None
        ]
        return missing + others

    def _step(self, verb: str, member: str, state: str) -> Step:
        what = f"iam.workloadIdentityUser of {member.rpartition('attribute.repository/')[2]} on {self.account}"
        command = ("iam", "service-accounts", f"{verb}-iam-policy-binding", self.account)
        return Step(what, state, (*command, f"--member={member}", f"--role={ROLE}", "--condition=None"))


def claims(ci: Ci, known: Mapping[str, Any]) -> dict[str, str]:
    """What a token must say."""
    wanted: dict[str, str] = known["claims"]
    return {name: wanted[name].format(repository=ci.repository, branch=ci.branch) for name in sorted(wanted)}


def _brought_back(
    what: str, state: Mapping[str, Any], command: tuple[str, ...], update: str, place: tuple[str, ...]
) -> list[Step]:
    """What is deleted is kept for 30 days, and so is its name."""
    steps = []
    if state.get("state") == "DELETED":
        steps.append(Step(what, "deleted", (*command, "undelete", *place)))
    if state.get("disabled"):
        steps.append(Step(what, "disabled", (*command, update, *place, "--no-disabled")))
    return steps
