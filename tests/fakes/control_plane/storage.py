"""Cloud Storage: the strict bucket, with buckets that are made, their policies, and callers that these let in."""

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.fakes.bucket import ROUTES, Answer, ApiError, Bucket, BucketServer, Call, FakeBucket, as_json, parse_json
from tests.fakes.control_plane import routing
from tests.fakes.control_plane.conditions import Asked

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_FIELDS = {
    *("name", "location", "locationType", "storageClass", "versioning", "lifecycle", "iamConfiguration", "labels"),
    *("softDeletePolicy", "autoclass", "encryption", "retentionPolicy", "defaultEventBasedHold", "cors", "logging"),
    *("website", "billing", "rpo", "customPlacementConfig", "hierarchicalNamespace", "acl", "defaultObjectAcl"),
    *("kind", "id", "etag", "metageneration", "projectNumber", "selfLink", "timeCreated", "updated", "ipFilter"),
}
_UPLOADS = re.compile("(?:/resumable)?/upload/")


class CloudStorage(FakeBucket):
    """Every account has a port of its own, for clients that send no token to an emulator."""

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.routes = [*_BUCKET_ROUTES, *(known for known in ROUTES if known[1] != _BUCKET)]
        self._ports: dict[str, BucketServer] = {}

    def url_of(self, account: str) -> str:
        """For STORAGE_EMULATOR_HOST: all that comes here without a token is the account's."""
        with self._lock:
            if account not in self._ports:
                server = BucketServer(self, 0, self._server.crashes, account)
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                self._ports[account] = server
        return f"http://127.0.0.1:{self._ports[account].server_address[1]}"

    def __exit__(self, *error: Any) -> None:
        for server in self._ports.values():
            server.shutdown()
            server.hang_up()
            server.server_close()
        super().__exit__(*error)

    def answer(self, call: Call, body: bytes) -> Answer:
        request = routing.Request(call.method, "", call.path.lstrip("/"), call.query, call.headers, body)
        self.plane.requests.append(request)
        try:
            request.caller = self._caller(call)
            self.plane.faults.meet(request)
        except routing.ApiError as exc:
            raise ApiError(exc.status, str(exc)) from exc
        self._check_access(call, request.caller)
        answer = super().answer(call, body)
        request.status = answer.status
        return self._as_seen_by(call, answer)

    def _caller(self, call: Call) -> str:
        given = call.headers.get("authorization", "")
        return self.plane.accounts.caller(given) if given else call.account or self.plane.owner

    def _as_seen_by(self, call: Call, answer: Answer) -> Answer:
        """Links lead to the port that the caller came by."""
        if call.account and answer.headers.get("Content-Type", "").startswith("application/json"):
            answer.body = bytes(answer.body).replace(self.url.encode(), self.url_of(call.account).encode())
        if call.account and "Location" in answer.headers:
            answer.headers["Location"] = answer.headers["Location"].replace(self.url, self.url_of(call.account))
        return answer

    def _check_access(self, call: Call, caller: str) -> None:
        """Raises ApiError where neither the project's policy nor the bucket's lets the caller."""
        permission, bucket = _permission(call)
        if not bucket:
            if not self.plane.may(caller, permission, self.plane.project_name):
                raise ApiError(403, f"{caller} does not have {permission} access to the Google Cloud project.")
            return
        for needed in (permission, *self._also(call, permission)):
            asked = Asked(f"projects/_/buckets/{bucket}")
            if needed == "storage.objects.list":
                asked = Asked(asked.resource, {"storage.googleapis.com/objectListPrefix": call.query.get("prefix", "")})
            elif needed.startswith("storage.objects."):
                asked = Asked(f"{asked.resource}/objects/{call.object}")
            if not self.plane.may(caller, needed, f"projects/_/buckets/{bucket}", asked):
                raise ApiError(
                    403,
                    f"{caller} does not have {needed} access to the Google Cloud Storage "
                    f"{'object' if call.object else 'bucket'}. Permission '{needed}' denied on resource "
                    "(or it may not exist).",
                )

    def _also(self, call: Call, permission: str) -> list[str]:
        """Who writes over an object deletes one."""
        there = call.bucket in self.buckets and call.object in self.buckets[call.bucket].live
        return ["storage.objects.delete"] if permission == "storage.objects.create" and there else []

    # Buckets.

    def create_bucket(self, call: Call, body: bytes) -> Answer:
        fields = _fields(body)
        name = str(fields.get("name", ""))
        if call.query.get("project") not in (self.plane.project, self.plane.number):
            raise ApiError(400, "Required parameter: project")
        if not _NAME.fullmatch(name) or "goog" in name:
            raise ApiError(400, f"Invalid bucket name: '{name}'")
        if not self.plane.billing.account:
            raise ApiError(403, "The billing account for the owning project is disabled in state absent")
        if name in self.buckets:
            raise ApiError(409, "Your previous request to create the named bucket succeeded and you already own it.")
        now = self.plane.now()
        grown = {"location": "US", "storageClass": "STANDARD", "locationType": "region", "timeCreated": now}
        policy = {"softDeletePolicy": {"retentionDurationSeconds": "604800"}}
        more = {"id": name, "projectNumber": self.plane.number, "updated": now, "metageneration": "1", "etag": "CAE="}
        self.buckets[name] = Bucket(name)
        self._configure(self.buckets[name], grown | policy | fields | more)
        return as_json(self.buckets[name].resource())

    def list_buckets(self, call: Call, _: bytes) -> Answer:
        prefix = call.query.get("prefix", "")
        found = [bucket.resource() for name, bucket in sorted(self.buckets.items()) if name.startswith(prefix)]
        return as_json({"kind": "storage#buckets"} | ({"items": found} if found else {}))

    def configure_bucket(self, _: Call, body: bytes, name: str) -> Answer:
        bucket = self._bucket(name)
        self._configure(bucket, _fields(body))
        bucket.fields["metageneration"] = str(int(bucket.fields.get("metageneration", "1")) + 1)
        return as_json(bucket.resource())

    def delete_bucket(self, _: Call, __: bytes, name: str) -> Answer:
        if self._bucket(name).live:
            raise ApiError(409, "The bucket you tried to delete is not empty.")
        del self.buckets[name]
        self.plane.policies.forget(f"projects/_/buckets/{name}")
        return Answer(204)

    def bucket_policy(self, _: Call, __: bytes, name: str) -> Answer:
        self._bucket(name)
        return as_json({"kind": "storage#policy"} | self.plane.policies.get(f"projects/_/buckets/{name}"))

    def set_bucket_policy(self, _: Call, body: bytes, name: str) -> Answer:
        policy = parse_json(body)
        uniform = self._bucket(name).fields.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {})
        if any("condition" in binding for binding in policy.get("bindings", [])) and not uniform.get("enabled"):
            raise ApiError(412, "Cannot add conditional role bindings without uniform bucket-level access.")
        try:
            return as_json(self.plane.policies.set(f"projects/_/buckets/{name}", policy))
        except routing.ApiError as exc:
            # Cloud Storage says of a policy that was read too early that its condition does not hold.
            raise ApiError(412 if exc.status == 409 else exc.status, str(exc)) from exc

    def _configure(self, bucket: Bucket, fields: dict[str, Any]) -> None:
        fields = dict(fields)
        bucket.versioning = (fields.pop("versioning", None) or {}).get("enabled", bucket.versioning)
        if "location" in fields:
            fields["location"] = fields["location"].upper()
        for rule in (fields.get("lifecycle") or {}).get("rule", []):
            if not {"action", "condition"} <= set(rule) or not rule["condition"]:
                raise ApiError(400, "A lifecycle rule needs an action and a condition.")
        for key, value in fields.items():
            known = bucket.fields.get(key)
            merges = isinstance(value, dict) and isinstance(known, dict) and key == "iamConfiguration"
            bucket.fields[key] = known | value if merges and known else value


def _fields(body: bytes) -> dict[str, Any]:
    fields = parse_json(body)
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise ApiError(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    return fields


def _permission(call: Call) -> tuple[str, str]:
    """What the call needs, and on which bucket."""
    place = re.search(r"/b/([^/]+)(/o|/iam)?", call.path)
    if place is None:
        return ("storage.buckets.create" if call.method == "POST" else "storage.buckets.list"), ""
    bucket, kind = unquote(place[1]), place[2]
    if _UPLOADS.match(call.path):
        return "storage.objects.create", bucket
    names = {"GET": "get", "PATCH": "update", "PUT": "update", "DELETE": "delete", "POST": "create"}
    if kind == "/o":
        return f"storage.objects.{'list' if call.operation == 'list' else names[call.method]}", bucket
    if kind == "/iam":
        return f"storage.buckets.{'get' if call.method == 'GET' else 'set'}IamPolicy", bucket
    return f"storage.buckets.{names[call.method]}", bucket


_ALL = "/storage/v1/b"
_BUCKET = f"{_ALL}/([^/]+)"
_BUCKET_ROUTES: list[tuple[str, str, str, Any]] = [
    ("POST", _ALL, "", CloudStorage.create_bucket),
    ("GET", _ALL, "", CloudStorage.list_buckets),
    ("GET", _BUCKET, "", CloudStorage.get_bucket),
    ("PATCH", _BUCKET, "", CloudStorage.configure_bucket),
    ("DELETE", _BUCKET, "", CloudStorage.delete_bucket),
    ("GET", f"{_BUCKET}/iam", "", CloudStorage.bucket_policy),
    ("PUT", f"{_BUCKET}/iam", "", CloudStorage.set_bucket_policy),
]
