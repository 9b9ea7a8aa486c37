"""Which revision of a service gets how much of its traffic: the commands that say so."""

from collections.abc import Mapping

from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import CANARY, PREVIOUS, Deployed
from deploy.cloud.sdk import Gcloud


class Traffic:
    """Of one function."""

    def __init__(self, gcloud: Gcloud, configuration: Configuration, name: str) -> None:
        self._gcloud = gcloud
        self._command = ("run", "services", "update-traffic", name, f"--region={configuration.region}")

    def pin(self, deployed: Deployed) -> None:
        """Keeps the traffic where it is, whatever is deployed next."""
        if deployed.follows_latest:
            self._split(deployed.shares)

    def tag_canary(self, revision: str) -> None:
        self._change(f"--update-tags={CANARY}={revision}")

    def share(self, serving: str, canary: str, percent: int) -> None:
        self._split({serving: 100 - percent, canary: percent})

    def promote(self, serving: str) -> None:
        """All of it for the newest revision; the one that served stays known, to be rolled back to."""
        tags = [f"--update-tags={PREVIOUS}={serving}"] if serving else []
        self._change("--to-latest", f"--remove-tags={CANARY}", *tags)

    def give_back(self, serving: str) -> None:
        """All of it for the revision that served."""
        self._change(f"--to-revisions={serving}=100", f"--remove-tags={CANARY}")

    def _split(self, shares: Mapping[str, int]) -> None:
        self._change("--to-revisions=" + ",".join(f"{revision}={percent}" for revision, percent in shares.items()))

    def _change(self, *flags: str) -> None:
        self._gcloud.change(*self._command, *flags)
