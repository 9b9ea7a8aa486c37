"""Cloud Build's trigger: a push to the branch builds and releases."""

from typing import Any

from deploy.cloud.configuration import Configuration, Trigger
from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud

NAME = "model-functions"
BUILD_CONFIG = "cloudbuild.yaml"


class BuildTrigger(Part):
    """Args: github: what it listens to."""

    name = "the Cloud Build trigger"

    def __init__(self, configuration: Configuration, github: Trigger) -> None:
        self.github = github
        deployer = configuration.account(configuration.accounts.deployer)
        self.runs_as = f"projects/{configuration.project}/serviceAccounts/{deployer}"
        # A trigger lives where its connection does.
        self.location = github.repository.split("/")[3]

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("builds", "triggers", "list", f"--region={self.location}", f"--filter=name={NAME}")

    def steps(self, state: Any) -> list[Step]:
        found = next((trigger for trigger in state or [] if trigger.get("name") == NAME), None)
        what = f"the trigger {NAME} of {self.github.repository.rpartition('/')[2]}"
        flags = (
            f"--region={self.location}",
            f"--repository={self.github.repository}",
            f"--branch-pattern={self.github.branch}",
            f"--build-config={BUILD_CONFIG}",
            f"--service-account={self.runs_as}",
        )
        if found is None:
            return [Step(what, "missing", ("builds", "triggers", "create", "github", f"--name={NAME}", *flags))]
        differing = self._differing(found)
        if not differing:
            return []
        return [Step(what, differing, ("builds", "triggers", "update", "github", NAME, *flags))]

    def _differing(self, found: dict[str, Any]) -> str:
        events = found.get("repositoryEventConfig") or {}
        pairs = {
            "repository": (events.get("repository"), self.github.repository),
            "branch": ((events.get("push") or {}).get("branch"), self.github.branch),
            "file": (found.get("filename"), BUILD_CONFIG),
            "account": (found.get("serviceAccount"), self.runs_as),
        }
        told = (
            f'of the {name} "{is_now}" and not "{wanted}"'
            for name, (is_now, wanted) in pairs.items()
            if is_now != wanted
        )
        return ", ".join(told)
