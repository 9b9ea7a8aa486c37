"""A bucket, of models, of what builds keep, or of batch jobs: private, versioned, and cleaned up after."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud
from deploy.project import BUILD

_DAY_S = 86_400


class Bucket(Part):
    """Args: wanted: ``soft_delete_days`` and ``lifecycle``."""

    def __init__(self, bucket: str, region: str, wanted: Mapping[str, Any]) -> None:
        self.url = f"gs://{bucket}"
        self.name = f"the bucket {self.url}"
        self.region = region
        self.soft_delete_days = int(wanted["soft_delete_days"])
        self.lifecycle: dict[str, Any] = wanted["lifecycle"]

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("storage", "buckets", "describe", self.url, "--raw")

    def steps(self, state: Any) -> list[Step]:
        if state is None:
            settings = [flag for name, flag in self._flags().items() if name != "versioning"]
            create = ("storage", "buckets", "create", self.url, f"--location={self.region}", *settings)
            # gcloud takes --versioning for a bucket that is there alone.
            return [Step(f"the bucket {self.url}", "missing", create), self._update({"versioning": "off"})]
        differing = self._differing(state)
        return [self._update(differing)] if differing else []

    def _update(self, differing: Mapping[str, str]) -> Step:
        told = ", ".join(f"{name} {state}" for name, state in differing.items())
        flags = [self._flags()[name] for name in differing]
        return Step(f"the settings of {self.url}", told, ("storage", "buckets", "update", self.url, *flags))

    def _flags(self) -> dict[str, str]:
        return {
            "uniform access": "--uniform-bucket-level-access",
            "public access prevention": "--public-access-prevention",
            "versioning": "--versioning",
            "soft delete": f"--soft-delete-duration={self.soft_delete_days}d",
            "lifecycle": f"--lifecycle-file={file_of('lifecycle-' + self.url.removeprefix('gs://'), self.lifecycle)}",
        }

    def _differing(self, state: Mapping[str, Any]) -> dict[str, str]:
        """Which settings are not as they should be, and how they are."""
        access = state.get("iamConfiguration") or {}
        kept = int((state.get("softDeletePolicy") or {}).get("retentionDurationSeconds") or 0)
        is_right = {
            "uniform access": bool((access.get("uniformBucketLevelAccess") or {}).get("enabled")),
            "public access prevention": access.get("publicAccessPrevention") == "enforced",
            "versioning": bool((state.get("versioning") or {}).get("enabled")),
            "soft delete": kept >= self.soft_delete_days * _DAY_S,
            "lifecycle": (state.get("lifecycle") or {}).get("rule") == self.lifecycle["rule"],
        }
        told = {"soft delete": f"{kept / _DAY_S:g} days", "lifecycle": "another"}
        return {name: told.get(name, "off") for name, right in is_right.items() if not right}

    def notes(self, state: Any) -> list[str]:
        location = str((state or {}).get("location", self.region)).lower()
        # The multi-regions are eu and us; a bucket of the functions' own part of the world is near enough.
        if location in (self.region, self.region[:2]):
            return []
        return [
            f"{self.url} is in {location}, and functions run in {self.region}: models load more slowly, and Google "
            "charges for what it carries. Only a new bucket changes that: name it in deploy.yaml, and publish again."
        ]


def file_of(name: str, content: Any) -> Path:
    """A file that gcloud reads the content from; it takes none on its command line."""
    path = BUILD / "cloud" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2) + "\n"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
