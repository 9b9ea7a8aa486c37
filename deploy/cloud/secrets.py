"""The secrets, made empty: what is in them their owner adds."""

from collections.abc import Iterable
from typing import Any

from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud


class Secrets(Part):
    """Args: names: of all that there should be."""

    name = "the secrets"
    is_ordered = False

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("secrets", "list")

    def steps(self, state: Any) -> list[Step]:
        found = {secret["name"].rpartition("/")[2] for secret in state or []}
        return [
            Step(f"the secret {name}", "missing", ("secrets", "create", name, "--replication-policy=automatic"))
            for name in self.names
            if name not in found
        ]
