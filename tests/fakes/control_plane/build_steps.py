"""What becomes of a build that somebody asks for: its steps run on this machine, where that is wanted."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.conditions import Asked
from tests.local_build import Ended, LocalBuild, substitutions

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

NOT_RUN = (
    "Nothing was run: this control plane has no containers. Its build config was read and its account checked. Begun "
    "with --run-builds, it runs steps on this machine, with what is installed here."
)


@dataclass(frozen=True)
class Here:
    """How steps run on this machine.

    Args:
        instead: scripts in the place of steps' own, by id.
        environment: for all steps, beside that by which they reach this place as the build's account.
    """

    instead: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def known_of(plane: "ControlPlane", location: str, key: str = "") -> dict[str, str]:
    """The substitutions that Cloud Build makes by itself, of a build that no trigger began."""
    return {"PROJECT_ID": plane.project, "PROJECT_NUMBER": plane.number, "LOCATION": location, "BUILD_ID": key}


def run_here(plane: "ControlPlane", build: dict[str, Any], here: Here | None) -> None:
    """Brings a build that is queued to its end."""
    location, key = build["name"].split("/")[3], build["id"]
    account = (
        build.get("serviceAccount", "").rpartition("/")[2] or f"{plane.number}-compute@developer.gserviceaccount.com"
    )
    if here is None:
        build |= {"status": "INTERNAL_ERROR", "statusDetail": NOT_RUN, "finishTime": plane.now()}
        return
    if denied := _denied(plane, build, account):
        build |= {"status": "FAILURE", "statusDetail": denied, "finishTime": plane.now()}
        return
    build |= {"status": "WORKING", "startTime": plane.now()}
    folder = plane.folder / "builds" / key
    _unpack(plane, build, folder)
    environment = {**plane.environment_of(account), **here.environment}
    instead = {
        name: script for name, script in here.instead.items() if name in {step.get("id") for step in build["steps"]}
    }
    ended = LocalBuild(build, folder, environment, known_of(plane, location, key), instead).run()
    for number, (name, step) in enumerate(ended.items()):
        plane.log.add_build(key, f'Step #{number} - "{name}"', step.output)
    failed = [name for name, step in ended.items() if step.status not in (0, None)]
    told = {"status": "FAILURE", "statusDetail": _told(ended, failed)} if failed else {"status": "SUCCESS"}
    build |= {**told, "finishTime": plane.now()}


def _denied(plane: "ControlPlane", build: dict[str, Any], account: str) -> str:
    """What the account may not that every build does; empty where it may."""
    source = build.get("source", {}).get("storageSource", {})
    place = f"projects/_/buckets/{source.get('bucket', '')}"
    asked = Asked(f"{place}/objects/{source.get('object', '')}")
    if source and not plane.may(account, "storage.objects.get", place, asked):
        return f"{account} does not have storage.objects.get access to the source gs://{source['bucket']}/{source['object']}"
    if not plane.may(account, "logging.logEntries.create", plane.project_name):
        return f"The service account {account} does not have permission to write logs to Cloud Logging"
    return ""


def _unpack(plane: "ControlPlane", build: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True)
    source = build.get("source", {}).get("storageSource")
    if source:
        data = plane.storage.data(source["object"], source["bucket"])
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")


def _told(ended: Mapping[str, Ended], failed: list[str]) -> str:
    number = list(ended).index(failed[0])
    return f'build step {number} "{failed[0]}" failed: step exited with non-zero status: {ended[failed[0]].status}'


def filled_in(plane: "ControlPlane", build: dict[str, Any], location: str) -> dict[str, Any]:
    """The build, with its account's name filled in."""
    values = substitutions(build, known_of(plane, location))
    account = build.get("serviceAccount", "")
    for name, value in values.items():
        account = account.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return build | ({"serviceAccount": account} if account else {})
