"""Cloud Build's trigger: a push to the branch builds and releases."""

from typing import Any

from deploy.cloud.bucket import file_of
from deploy.cloud.configuration import Configuration, Trigger
from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud, spelled

NAME = "model-functions"
BUILD_CONFIG = "cloudbuild.yaml"

#: A push that changes nothing else needs no build. What is not listed has one, as a file that is new to this list.
IGNORED = ("docs/**", "*.md", "LICENSE")


class BuildTrigger(Part):
    """Args: github: what it listens to."""

    name = "the Cloud Build trigger"

    def __init__(self, configuration: Configuration, github: Trigger) -> None:
        self.github = github
        self.project = configuration.project
        deployer = configuration.accounts.deployer
        #: As Cloud Build has it.
        self.wanted: dict[str, Any] = {
            "name": NAME,
            "repositoryEventConfig": {"repository": github.repository, "push": {"branch": github.branch}},
            "filename": BUILD_CONFIG,
            "ignoredFiles": list(IGNORED),
            "serviceAccount": f"projects/{configuration.project}/serviceAccounts/{configuration.account(deployer)}",
            "substitutions": {"_DEPLOYER": deployer},
        }
        _, _, _, self.location, _, self.connection, _, self.repository = github.repository.split("/")

    def read(self, gcloud: Gcloud) -> Any:
        """``trigger``; and where there is none, ``repository``: whether it could be made."""
        where = f"--region={self.location}"
        found = gcloud.read("builds", "triggers", "list", where, f"--filter=name={NAME}") or []
        trigger = next((trigger for trigger in found if trigger.get("name") == NAME), None)
        if trigger is not None:
            return {"trigger": trigger}
        place = (self.repository, f"--connection={self.connection}", where)
        return {"repository": gcloud.read("builds", "repositories", "describe", *place)}

    def steps(self, state: Any) -> list[Step]:
        found = (state or {}).get("trigger")
        differing = "missing" if found is None else self._differing(found)
        if not differing:
            return []
        # Makes or replaces it. "update github" cannot: it changes the branch of a repository of the first generation.
        file = file_of(f"trigger-{NAME}", self.wanted)
        command = ("builds", "triggers", "import", f"--source={file}", f"--region={self.location}")
        return [Step(f"the trigger {NAME} of {self.repository}", differing, command)]

    def notes(self, state: Any) -> list[str]:
        if state is None or "trigger" in state or state["repository"]:
            return []
        at = (f"--region={self.location}", f"--project={self.project}")
        connect = spelled(["builds", "connections", "create", "github", self.connection, *at])
        address = "--remote-uri=https://github.com/OWNER/NAME.git"
        repository = ["builds", "repositories", "create", self.repository, f"--connection={self.connection}", address]
        return [
            f"{self.github.repository} is not connected, so that no trigger can listen to it. "
            f"Run: {connect} (its answer has an address to log in to GitHub at), then: {spelled([*repository, *at])}"
        ]

    def _differing(self, found: dict[str, Any]) -> str:
        told = [
            f"of the {name} {found.get(name)} and not {value}"
            for name, value in self.wanted.items()
            if found.get(name) != value
        ]
        return ", ".join([*told, *(["disabled"] if found.get("disabled") else [])])
