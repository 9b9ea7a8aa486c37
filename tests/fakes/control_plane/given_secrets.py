"""The secrets that a revision is given, in variables and as files, if its account may read them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.revisions import account_of, container_of
from tests.fakes.control_plane.routing import ApiError

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

Revision = dict[str, Any]


def variables(plane: "ControlPlane", revision: Revision) -> dict[str, str]:
    """Those that the user set, with the secrets' values. Raises ApiError for a secret that is not to be had.

    A file's place is another one here, since nobody mounts anything: a variable that begins with it names this one.
    """
    folders = _mounted(plane, revision)
    found = {}
    for entry in container_of(revision).get("env", []):
        value = _value(plane, revision, entry)
        place = next((place for place in folders if value == place or value.startswith(f"{place}/")), None)
        found[entry["name"]] = f"{folders[place]}{value.removeprefix(place)}" if place else value
    return found


def _value(plane: "ControlPlane", revision: Revision, entry: dict[str, Any]) -> str:
    if "valueFrom" not in entry:
        return str(entry.get("value", ""))
    named = entry["valueFrom"]["secretKeyRef"]
    return _read(plane, revision, named["name"], str(named["key"])).decode()


def _mounted(plane: "ControlPlane", revision: Revision) -> dict[str, Path]:
    """Where each volume of secrets is on this machine, by where the function is to see it."""
    mounts = {mount["name"]: mount["mountPath"] for mount in container_of(revision).get("volumeMounts", [])}
    found = {}
    for volume in revision["spec"].get("volumes", []):
        if "secret" not in volume:
            continue
        folder = plane.folder / "mounts" / revision["metadata"]["name"] / volume["name"]
        for item in volume["secret"].get("items", []):
            path = folder / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_read(plane, revision, volume["secret"]["secretName"], str(item["key"])))
        found[mounts[volume["name"]]] = folder
    return found


def _read(plane: "ControlPlane", revision: Revision, secret: str, version: str) -> bytes:
    account, place = account_of(revision), f"{plane.project_name}/secrets/{secret}"
    value = plane.secrets.value(secret, version)
    if not plane.may(account, "secretmanager.versions.access", place):
        raise ApiError(
            403,
            f"Permission denied on secret: {place}/versions/{version} for Revision service account {account}. The "
            "service account used must be granted the 'Secret Manager Secret Accessor' role "
            "(roles/secretmanager.secretAccessor) at the secret, project or higher level.",
        )
    return value
