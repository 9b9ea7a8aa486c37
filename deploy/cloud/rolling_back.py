"""Back to the revision that served before, at once: all its traffic, and nothing is built."""

import threading
from collections.abc import Iterable
from typing import Any

from deploy.cloud import deployed
from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import CANARY, PREVIOUS, Deployed
from deploy.cloud.releasing import Result
from deploy.cloud.sdk import Gcloud, GcloudFailed
from deploy.cloud.traffic import Traffic


def roll_back(
    gcloud: Gcloud, configuration: Configuration, families: Iterable[str], stopped: threading.Event, *, every: bool
) -> list[Result]:
    """Rolls back each family, one after the other. Raises GcloudFailed, ValueError where nothing was begun.

    Args:
        stopped: set where somebody ends it.
        every: nobody named them: those whose last release left a revision to go back to.
    """
    families = list(families)
    there = deployed.read(gcloud, configuration, families)
    if every:
        families = [family for family in families if family in there and _has_way_back(there[family])]
        if not families:
            raise ValueError("No family's last release left a revision to go back to. Name the families.")
    return [_one(gcloud, configuration, family, there.get(family), stopped) for family in families]


def _has_way_back(one: Deployed) -> bool:
    previous = one.tags.get(PREVIOUS, ("", ""))[0]
    return one.tags.get(CANARY) is not None or (previous != "" and one.shares.get(previous) != 100)


def _one(
    gcloud: Gcloud, configuration: Configuration, family: str, now: Deployed | None, stopped: threading.Event
) -> Result:
    result = Result(family, "roll back", state=f"{now.told_traffic() if now else 'nothing'}, as before")
    try:
        if stopped.is_set():
            raise ValueError("interrupted")
        if now is None:
            raise ValueError("it is not deployed")
        target = _target(gcloud, configuration, now)
        Traffic(gcloud, configuration, now.name).give_back(target)
    except (GcloudFailed, ValueError) as error:
        result.failure = "interrupted" if stopped.is_set() else str(error)
        result.next = f"python -m deploy status shows what there is; python -m deploy release {family} goes forward"
        return result
    result.changed = 1
    result.state = f"{target} serves all; it was {now.told_traffic()}"
    return result


def _target(gcloud: Gcloud, configuration: Configuration, now: Deployed) -> str:
    """The revision to go back to: in the middle of a canary the one that serves, else the one that served before."""
    if len(now.shares) > 1 or CANARY in now.tags:
        return now.serving
    previous = now.tags.get(PREVIOUS, ("", ""))[0]
    if previous and previous != now.serving:
        return previous
    place = (f"--service={now.name}", f"--region={configuration.region}")
    listed = gcloud.read("run", "revisions", "list", *place) or []
    listed.sort(key=lambda revision: revision["metadata"]["creationTimestamp"], reverse=True)
    names = [revision["metadata"]["name"] for revision in listed if _is_ready(revision)]
    older = names[names.index(now.serving) + 1 :] if now.serving in names else names
    if not older:
        raise ValueError(f"there is no revision before {now.serving}")
    return str(older[0])


def _is_ready(revision: dict[str, Any]) -> bool:
    conditions = revision.get("status", {}).get("conditions", [])
    return not any(one.get("type") == "Ready" and one.get("status") == "False" for one in conditions)
