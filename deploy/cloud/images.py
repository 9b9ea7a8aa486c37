"""The Artifact Registry repository of the functions' images, which forgets the old ones."""

from collections.abc import Sequence
from typing import Any

from deploy.cloud.bucket import file_of
from deploy.cloud.configuration import Configuration
from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud


class Images(Part):
    """Args: policies: of cleaning up, in the words of ``gcloud artifacts repositories set-cleanup-policies``."""

    name = "the repository of images"

    def __init__(self, configuration: Configuration, policies: Sequence[dict[str, Any]]) -> None:
        self.repository = configuration.images
        self.location = f"--location={configuration.region}"
        self.policies = policies

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("artifacts", "repositories", "describe", self.repository, self.location)

    def steps(self, state: Any) -> list[Step]:
        command = ("artifacts", "repositories")
        clean_up = Step(
            f"cleaning up in {self.repository}",
            "off" if not (state or {}).get("cleanupPolicies") else "another",
            (
                *(*command, "set-cleanup-policies", self.repository, self.location, "--no-dry-run"),
                f"--policy={file_of('cleanup', self.policies)}",
            ),
        )
        if state is None:
            create = (*command, "create", self.repository, self.location, "--repository-format=docker")
            return [Step(f"the repository {self.repository}", "missing", create), clean_up]
        return [] if self._cleans_up(state) else [clean_up]

    def _cleans_up(self, state: dict[str, Any]) -> bool:
        found = {name: _known(policy) for name, policy in (state.get("cleanupPolicies") or {}).items()}
        wanted = {policy["name"]: _wanted(policy) for policy in self.policies}
        return found == wanted and not state.get("cleanupPolicyDryRun")


def _known(policy: dict[str, Any]) -> dict[str, Any]:
    """As Google tells it."""
    kept = {"action": policy.get("action")}
    if (condition := policy.get("condition")) is not None:
        kept["condition"] = dict(condition)
    if (newest := policy.get("mostRecentVersions")) is not None:
        kept["mostRecentVersions"] = dict(newest)
    return kept


def _wanted(policy: dict[str, Any]) -> dict[str, Any]:
    """The same words for what a file asks for: seconds instead of days, and enumerations in capitals."""
    told = _known(policy) | {"action": str(policy["action"]["type"]).upper()}
    condition = told.get("condition")
    if condition is not None:
        days = int(str(condition["olderThan"]).removesuffix("d"))
        told["condition"] = condition | {"tagState": condition["tagState"].upper(), "olderThan": f"{days * 86_400}s"}
    return told
