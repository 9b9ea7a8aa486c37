"""How a service's traffic is split among its revisions, and which of them have addresses of their own."""

import random
from collections.abc import Collection, Mapping
from typing import Any

from tests.fakes.control_plane.routing import ApiError, only
from tests.fakes.control_plane.rules import check_name

Targets = list[dict[str, Any]]


def check_traffic(targets: Targets, revisions: Collection[str]) -> None:
    """Raises ApiError for a split that Cloud Run refuses."""
    for target in targets:
        only(target, ("latestRevision", "percent", "revisionName", "tag", "url", "configurationName"), "spec.traffic")
        if bool(target.get("revisionName")) == bool(target.get("latestRevision")):
            raise ApiError(400, "A traffic target must name a revision or be the latest one, and not both.")
        named = target.get("revisionName")
        if named and named not in revisions:
            raise ApiError(404, f"Revision '{named}' of the traffic target was not found.")
        if target.get("tag"):
            check_name("tag", target["tag"], r"[a-z]([a-z0-9-]{0,45}[a-z0-9])?")
    total = sum(target.get("percent", 0) for target in targets)
    if total != 100:
        raise ApiError(400, f"The traffic's percentages add up to {total}, and not to 100.")
    tags = [target["tag"] for target in targets if target.get("tag")]
    if len(set(tags)) < len(tags):
        raise ApiError(400, f"The tag {max(tags, key=tags.count)} is on several traffic targets.")


def resolved(targets: Targets, latest: str, links: Mapping[str, str]) -> Targets:
    """What the status says: each target with its revision, and a tag's with its address."""
    found = []
    for target in targets:
        named = {"revisionName": target.get("revisionName") or latest}
        link = {"url": links[target["tag"]]} if target.get("tag") else {}
        found.append({key: value for key, value in target.items() if key != "url"} | named | link)
    return found


def drawn(targets: Targets, chance: random.Random) -> str:
    """The revision for one request."""
    with_part = [target for target in targets if target.get("percent")]
    [chosen] = chance.choices(with_part, [target["percent"] for target in with_part])
    return str(chosen["revisionName"])


def tagged(targets: Targets, tag: str) -> str | None:
    return next((str(target["revisionName"]) for target in targets if target.get("tag") == tag), None)
