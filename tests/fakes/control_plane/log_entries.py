"""Cloud Logging: what services were asked and said, and how it is read."""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.fakes.control_plane.forwarding import Forwarded
from tests.fakes.control_plane.log_filter import parse
from tests.fakes.control_plane.routing import Api, ApiError, Request, page, required, route
from tests.fakes.http_server import FakeHandler

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

MOST = 1000


class Log(Api):
    name = "logging"

    def __init__(self, plane: "ControlPlane") -> None:
        super().__init__()
        self.plane = plane
        self.entries: list[dict[str, Any]] = []

    def add_request(
        self,
        handler: FakeHandler,
        location: str,
        service: str,
        revision: str,
        done: Forwarded,
        seconds: float,
        received: int,
    ) -> None:
        severity = "ERROR" if done.status >= 500 else "WARNING" if done.status >= 400 else "INFO"
        asked = {
            "requestMethod": handler.command,
            "requestUrl": f"https://{handler.headers.get('Host', '')}{handler.path}",
            "requestSize": str(received),
            "responseSize": str(done.sent),
            "status": done.status,
            "userAgent": handler.headers.get("User-Agent", ""),
            "remoteIp": "127.0.0.1",
            "latency": f"{seconds:.6f}s",
            "protocol": "HTTP/1.1",
        }
        more = {} if revision else {"textPayload": "The request was not authenticated or not authorized."}
        self._add("requests", location, service, revision, {"severity": severity, "httpRequest": asked, **more})

    def add_line(self, location: str, revision: str, line: str) -> None:
        """What an instance printed: an entry of its own fields where it is JSON."""
        known = self.plane.services.revisions.get((location, revision), {})
        service = known.get("status", {}).get("serviceName", "")
        try:
            payload = json.loads(line)
        except ValueError:
            payload = None
        if isinstance(payload, dict):
            fields = {"severity": payload.pop("severity", "DEFAULT"), "jsonPayload": payload}
        else:
            fields = {"severity": "DEFAULT", "textPayload": line}
        self._add("stdout", location, service, revision, fields)

    def add_build(self, key: str, step: str, output: str) -> None:
        """What a step printed, an entry a line."""
        project, now = self.plane.project, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for line in output.splitlines():
            self.entries.append(
                {
                    "insertId": uuid4().hex[:20],
                    "logName": f"projects/{project}/logs/cloudbuild",
                    "resource": {"type": "build", "labels": {"build_id": key, "project_id": project}},
                    "severity": "INFO",
                    "textPayload": f"{step}: {line}",
                    "timestamp": now,
                    "receiveTimestamp": now,
                }
            )

    def _add(self, log: str, location: str, service: str, revision: str, fields: dict[str, Any]) -> None:
        project = self.plane.project
        labels = {"service_name": service, "revision_name": revision, "configuration_name": service}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        entry = {
            "insertId": uuid4().hex[:20],
            "logName": f"projects/{project}/logs/run.googleapis.com%2F{log}",
            "resource": {
                "type": "cloud_run_revision",
                "labels": labels | {"location": location, "project_id": project},
            },
            "timestamp": now,
            "receiveTimestamp": now,
        }
        self.entries.append(entry | fields)

    @route("POST", "v2/entries:list", "logging.logEntries.list")
    def list(self, request: Request) -> dict[str, Any]:
        body = request.json("filter", "orderBy", "pageSize", "pageToken", "resourceNames", "projectIds")
        required(body, "resourceNames")
        order = body.get("orderBy", "timestamp asc")
        if order not in ("timestamp asc", "timestamp desc"):
            raise ApiError(400, f"Unsupported orderBy: {order}")
        wanted = parse(body.get("filter", ""))
        found = [entry for entry in self.entries if wanted(entry)]
        found.sort(key=lambda entry: str(entry["timestamp"]), reverse=order.endswith("desc"))
        start = int(body.get("pageToken") or 0)
        size = min(int(body.get("pageSize") or 50), MOST)
        more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
        return page("entries", found[start : start + size]) | more

    @route("POST", "v2/entries:write", "logging.logEntries.create")
    def write(self, request: Request) -> dict[str, Any]:
        body = request.json("entries", "logName", "resource", "labels", "partialSuccess", "dryRun")
        for entry in body.get("entries", []):
            name = entry.get("logName") or body.get("logName") or ""
            if not re.fullmatch(r"projects/[^/]+/logs/[^/]+", name):
                raise ApiError(400, f"The logName '{name}' is invalid.")
            self.entries.append({"timestamp": self.plane.now(), **entry, "logName": name})
        return {}
