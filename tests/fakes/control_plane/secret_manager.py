"""Secret Manager: secrets, their versions and their policies."""

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c

from tests.fakes.control_plane.routing import Api, ApiError, Request, page, required, route
from tests.fakes.control_plane.rules import check_labels, check_name

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

SECRET = "v1/projects/{project}/secrets/{secret}"
LARGEST_BYTES = 65536
STATES = ("ENABLED", "DISABLED", "DESTROYED")


@dataclass
class Version:
    """Args: state: ``ENABLED``, ``DISABLED``, or ``DESTROYED``, which has no data any more."""

    data: bytes
    state: str = "ENABLED"


class SecretManager(Api):
    name = "secretmanager"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.secrets: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[Version]] = {}

    def value(self, secret: str, version: str) -> bytes:
        """Raises ApiError where there is none, or it is switched off."""
        number = self._number(secret, version)
        found = self.versions[secret][number - 1]
        if found.state != "ENABLED":
            name = f"{self._name(secret)}/versions/{number}"
            raise ApiError(400, f"Secret Version [{name}] is in {found.state} state.", "FAILED_PRECONDITION")
        return found.data

    def _number(self, secret: str, version: str) -> int:
        self._existing(secret)
        newest = len(self.versions[secret])
        number = newest if version == "latest" else int(version) if version.isdecimal() else 0
        if not 1 <= number <= newest:
            raise ApiError(404, f"Secret Version [{self._name(secret)}/versions/{version}] not found.")
        return number

    @route("GET", "v1/projects/{project}/secrets", "secretmanager.secrets.list")
    def list(self, _: Request, project: str) -> dict[str, Any]:
        return page("secrets", self.secrets.values())

    @route("POST", "v1/projects/{project}/secrets", "secretmanager.secrets.create")
    def create(self, request: Request, project: str) -> dict[str, Any]:
        secret = request.query.get("secretId", "")
        check_name("secretId", secret, r"[a-zA-Z0-9_-]{1,255}")
        body = request.json("replication", "labels", "annotations", "ttl", "expireTime", "topics", "versionAliases")
        required(body, "replication")
        check_labels(body.get("labels", {}))
        if secret in self.secrets:
            raise ApiError(409, f"Secret [{self._name(secret)}] already exists.")
        self.secrets[secret] = body | {"name": self._name(secret), "createTime": self.plane.now(), "etag": '"16"'}
        self.versions[secret] = []
        return self.secrets[secret]

    @route("GET", SECRET, "secretmanager.secrets.get")
    def get(self, _: Request, project: str, secret: str) -> dict[str, Any]:
        return self._existing(secret)

    @route("DELETE", SECRET, "secretmanager.secrets.delete")
    def delete(self, _: Request, project: str, secret: str) -> dict[str, Any]:
        self.plane.policies.forget(self._existing(secret)["name"])
        del self.secrets[secret], self.versions[secret]
        return {}

    @route("POST", SECRET + ":addVersion", "secretmanager.versions.add")
    def add_version(self, request: Request, project: str, secret: str) -> dict[str, Any]:
        self._existing(secret)
        payload = request.json("payload").get("payload", {})
        try:
            data = base64.b64decode(payload.get("data", ""), validate=True)
        except binascii.Error:
            raise ApiError(400, "Invalid value at 'payload.data' (TYPE_BYTES).") from None
        if not data or len(data) > LARGEST_BYTES:
            raise ApiError(400, f"Secret payload of {len(data)} bytes; it must be 1 to {LARGEST_BYTES}.")
        if "dataCrc32c" in payload and int(payload["dataCrc32c"]) != google_crc32c.value(data):
            raise ApiError(400, "CRC32C of the payload does not match.")
        self.versions[secret].append(Version(data))
        checked = {"clientSpecifiedPayloadChecksum": True} if "dataCrc32c" in payload else {}
        return self._version(secret, len(self.versions[secret])) | checked

    @route("GET", SECRET + "/versions", "secretmanager.versions.list")
    def list_versions(self, request: Request, project: str, secret: str) -> dict[str, Any]:
        self._existing(secret)
        wanted = request.query.get("filter", "").replace("=", ":")
        if wanted not in ("", *(f"state:{state}" for state in STATES)):
            raise ApiError(400, f"Invalid filter: {wanted}")
        versions = [self._version(secret, number) for number in range(len(self.versions[secret]), 0, -1)]
        return page("versions", [version for version in versions if wanted in ("", f"state:{version['state']}")])

    @route("GET", SECRET + "/versions/{version}", "secretmanager.versions.get")
    def get_version(self, _: Request, project: str, secret: str, version: str) -> dict[str, Any]:
        return self._version(secret, self._number(secret, version))

    @route("POST", SECRET + "/versions/{version}:disable", "secretmanager.versions.disable")
    def disable(self, _: Request, project: str, secret: str, version: str) -> dict[str, Any]:
        return self._become(secret, version, "DISABLED")

    @route("POST", SECRET + "/versions/{version}:enable", "secretmanager.versions.enable")
    def enable(self, _: Request, project: str, secret: str, version: str) -> dict[str, Any]:
        return self._become(secret, version, "ENABLED")

    @route("POST", SECRET + "/versions/{version}:destroy", "secretmanager.versions.destroy")
    def destroy(self, _: Request, project: str, secret: str, version: str) -> dict[str, Any]:
        return self._become(secret, version, "DESTROYED")

    def _become(self, secret: str, version: str, state: str) -> dict[str, Any]:
        number = self._number(secret, version)
        found = self.versions[secret][number - 1]
        if found.state == "DESTROYED":
            name = f"{self._name(secret)}/versions/{number}"
            raise ApiError(400, f"Secret Version [{name}] is in DESTROYED state.", "FAILED_PRECONDITION")
        self.versions[secret][number - 1] = Version(b"" if state == "DESTROYED" else found.data, state)
        return self._version(secret, number)

    @route("GET", SECRET + "/versions/{version}:access", "secretmanager.versions.access")
    def access(self, _: Request, project: str, secret: str, version: str) -> dict[str, Any]:
        data = self.value(secret, version)
        payload = {"data": base64.b64encode(data).decode(), "dataCrc32c": str(google_crc32c.value(data))}
        return {"name": f"{self._name(secret)}/versions/{version}", "payload": payload}

    @route("GET", SECRET + ":getIamPolicy", "secretmanager.secrets.getIamPolicy")
    def get_policy(self, _: Request, project: str, secret: str) -> dict[str, Any]:
        return self.plane.policies.get(self._existing(secret)["name"])

    @route("POST", SECRET + ":setIamPolicy", "secretmanager.secrets.setIamPolicy")
    def set_policy(self, request: Request, project: str, secret: str) -> dict[str, Any]:
        policy = request.json("policy", "updateMask").get("policy", {})
        return self.plane.policies.set(self._existing(secret)["name"], policy)

    def _name(self, secret: str) -> str:
        return f"projects/{self.plane.project}/secrets/{secret}"

    def _version(self, secret: str, number: int) -> dict[str, Any]:
        name = f"projects/{self.plane.number}/secrets/{secret}/versions/{number}"
        state = self.versions[secret][number - 1].state
        return {"name": name, "createTime": self.plane.now(), "state": state, "etag": '"16"'}

    def _existing(self, secret: str) -> dict[str, Any]:
        if secret not in self.secrets:
            raise ApiError(404, f"Secret [{self._name(secret)}] not found.")
        return self.secrets[secret]
