"""What is deployed: every family's service, its revisions' traffic and its settings, in one or two reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deploy.cloud.configuration import Configuration
from deploy.cloud.sdk import Gcloud
from model_functions.names import function_name

#: The canary's name in a service's traffic, and that of the revision that served before.
CANARY, PREVIOUS = "canary", "previous"


@dataclass(frozen=True)
class Deployed:
    """A function as it stands on Google Cloud.

    Args:
        url: where callers ask it.
        service_url: the host of Cloud Run; below tag URLs.
        label: the digest of the staged folder that was deployed last.
        created: the newest revision.
        ready: the newest revision that could start.
        shares: the percentages of the traffic, by revision.
        tags: revision and URL, by tag.
        follows_latest: whether a new revision gets all traffic by itself.
        settings: memory, cpu, concurrency, timeout, account, gpu, instances and environment, as they are told.
        trouble: what the platform says is wrong with it; empty where nothing is.
    """

    family: str
    url: str
    service_url: str
    label: str
    created: str
    ready: str
    shares: Mapping[str, int]
    tags: Mapping[str, tuple[str, str]]
    follows_latest: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""
    in_progress: bool = False

    @property
    def name(self) -> str:
        return function_name(self.family)

    @property
    def serving(self) -> str:
        """The revision with most of the traffic, the canary aside where another has as much."""
        canary = self.tags.get(CANARY, ("", ""))[0]
        ranked = sorted(self.shares, key=lambda revision: (revision != canary, self.shares[revision]))
        return ranked[-1] if ranked else ""

    @property
    def is_whole(self) -> bool:
        """Whether the newest revision works and has all traffic."""
        return bool(self.ready) and self.created == self.ready and self.shares.get(self.ready) == 100

    def told_traffic(self) -> str:
        return ", ".join(f"{revision} {percent} %" for revision, percent in self.shares.items()) or "nothing"


def read(gcloud: Gcloud, configuration: Configuration, families: Iterable[str]) -> dict[str, Deployed]:
    """What is deployed of the families, by family. Raises GcloudFailed."""
    services = gcloud.read("run", "services", "list", f"--region={configuration.region}") or []
    by_name = {service["metadata"]["name"]: service for service in services}
    functions: dict[str, Any] = {}
    if configuration.backend == "functions":
        listed = gcloud.read("functions", "list", "--v2", f"--regions={configuration.region}") or []
        functions = {one["name"].rpartition("/")[2]: one for one in listed}
    found = {}
    for family in families:
        name = function_name(family)
        if name in by_name or name in functions:
            found[family] = _deployed(family, by_name.get(name, {}), functions.get(name))
    return found


def read_one(gcloud: Gcloud, configuration: Configuration, family: str, before: Deployed | None) -> Deployed:
    """What is deployed of a family now. Raises GcloudFailed, ValueError.

    Args:
        before: what was; its URL does not change, but what never served has none.
    """
    name, place = function_name(family), f"--region={configuration.region}"
    service = gcloud.read("run", "services", "describe", name, place)
    if service is None:
        raise ValueError(f"There is no service {name} in {configuration.region}. Was it deleted meanwhile?")
    found = _deployed(family, service, None)
    if before is not None and before.url:
        return replace(found, url=before.url)
    if configuration.backend == "functions":
        function = gcloud.read("functions", "describe", name, "--v2", place) or {}
        return replace(found, url=function.get("url") or found.url)
    return found


def _deployed(family: str, service: Mapping[str, Any], function: Mapping[str, Any] | None) -> Deployed:
    status = service.get("status", {})
    traffic = status.get("traffic", [])
    shares: dict[str, int] = {}
    for share in traffic:
        if share.get("percent"):
            shares[share["revisionName"]] = shares.get(share["revisionName"], 0) + share["percent"]
    labels = (function or {}).get("labels") or service.get("metadata", {}).get("labels") or {}
    state = (function or {}).get("state", "ACTIVE")
    return Deployed(
        family,
        url=(function or {}).get("url") or status.get("url", ""),
        service_url=status.get("url", ""),
        label=labels.get("staged", ""),
        created=status.get("latestCreatedRevisionName", ""),
        ready=status.get("latestReadyRevisionName", ""),
        shares=shares,
        tags={share["tag"]: (share["revisionName"], share.get("url", "")) for share in traffic if share.get("tag")},
        follows_latest=any(share.get("latestRevision") and share.get("percent") for share in traffic),
        settings=_settings(service),
        trouble="" if state in ("ACTIVE", "DEPLOYING") and not _wrong(status) else _wrong(status) or f"it is {state}",
        in_progress=state == "DEPLOYING",
    )


def _wrong(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions", []):
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "not ready")
    return ""


def _settings(service: Mapping[str, Any]) -> dict[str, Any]:
    template = service.get("spec", {}).get("template", {}).get("spec", {})
    container: dict[str, Any] = next(iter(template.get("containers", [])), {})
    limits = container.get("resources", {}).get("limits", {})
    return {
        "memory": limits.get("memory"),
        "cpu": limits.get("cpu"),
        "concurrency": template.get("containerConcurrency"),
        "timeout": template.get("timeoutSeconds"),
        "account": template.get("serviceAccountName"),
        "gpu": limits.get("nvidia.com/gpu"),
        "min_instances": _instances(service, "minScale"),
        "max_instances": _instances(service, "maxScale"),
        "environment": {entry["name"]: entry.get("value", "") for entry in container.get("env", [])},
    }


def _instances(service: Mapping[str, Any], bound: str) -> int | None:
    """What is said of the service as a whole, or else of its revisions; None where nothing is."""
    whole = service.get("metadata", {}).get("annotations", {})
    revisions = service.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    found = whole.get(f"run.googleapis.com/{bound}") or revisions.get(f"autoscaling.knative.dev/{bound}")
    return int(found) if found else None
