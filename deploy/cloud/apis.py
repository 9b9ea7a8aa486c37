"""The APIs that the project's commands and functions need."""

from collections.abc import Mapping
from typing import Any

from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud

#: Services that one call may enable.
AT_ONCE = 20


class Apis(Part):
    """Args: wanted: by name, what for."""

    name = "the APIs"

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self.wanted = tuple(wanted)

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("services", "list", "--enabled")

    def steps(self, state: Any) -> list[Step]:
        enabled = {service["config"]["name"] for service in state or []}
        missing = [name for name in self.wanted if name not in enabled]
        groups = [missing[start : start + AT_ONCE] for start in range(0, len(missing), AT_ONCE)]
        return [
            Step(f"the API{'s' * (len(group) > 1)} {', '.join(group)}", "off", ("services", "enable", *group))
            for group in groups
        ]
