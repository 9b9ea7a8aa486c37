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
        wanted = {policy["name"]: _known(policy | policy["action"]) for policy in self.policies}
        return found == wanted and not state.get("cleanupPolicyDryRun")


def _known(policy: dict[str, Any]) -> dict[str, Any]:
    """What Google and our file call alike; ``type`` is the file's name of the action."""
    known: dict[str, Any] = {"action": policy.get("type") or policy.get("action")}
    known |= {name: policy[name] for name in ("condition", "mostRecentVersions") if policy.get(name)}
    if condition := known.get("condition"):
        # gcloud sends 2592000.0s, and Google answers 2592000s.
        known["condition"] = condition | {"olderThan": float(str(condition.get("olderThan", "0s")).removesuffix("s"))}
    return known
