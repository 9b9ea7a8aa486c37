"""Cloud Run's services: their revisions, the traffic among them, and whether they are ready."""

import copy
import random
import string
import threading
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.revisions import check_template, parts_of, simulate_defaults
from tests.fakes.control_plane.routing import ApiError, only
from tests.fakes.control_plane.rules import check_labels, check_name
from tests.fakes.control_plane.traffic import check_traffic, resolved

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

Service = dict[str, Any]


class Services:
    """By location and name, in the form of Knative, as Cloud Run's first API shows them."""

    def __init__(self, plane: "ControlPlane") -> None:
        self.plane = plane
        self.by_name: dict[tuple[str, str], Service] = {}
        self.revisions: dict[tuple[str, str], dict[str, Any]] = {}
        self._letters = random.Random(8)
        self._lock = threading.RLock()

    def get(self, location: str, name: str) -> Service:
        if (location, name) not in self.by_name:
            raise ApiError(
                404,
                f"Resource '{name}' of kind 'SERVICE' in region '{location}' in project "
                f"'{self.plane.project}' does not exist.",
            )
        return self.by_name[location, name]

    def policy_name(self, location: str, name: str) -> str:
        return f"projects/{self.plane.project}/locations/{location}/services/{name}"

    def of(self, location: str, name: str) -> list[dict[str, Any]]:
        """The service's revisions, the newest first."""
        found = [revision for (place, _), revision in self.revisions.items() if place == location]
        mine = [item for item in found if item["metadata"]["labels"]["serving.knative.dev/service"] == name]
        return sorted(mine, key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)

    def apply(self, location: str, body: Service, caller: str) -> Service:
        """Makes the service, or replaces it; it becomes ready later. Raises ApiError for what Cloud Run refuses."""
        only(body, ("apiVersion", "kind", "metadata", "spec", "status"))
        metadata, spec = body.get("metadata", {}), body.get("spec", {})
        only(spec, ("template", "traffic"), "spec")
        name = metadata.get("name", "")
        check_name("metadata.name", name, r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
        check_labels({key: value for key, value in metadata.get("labels", {}).items() if "/" not in key})
        with self._lock:
            known = self.by_name.get((location, name))
            self._check_version(metadata, known)
            template = simulate_defaults(copy.deepcopy(spec.get("template", {})), self.plane)
            check_template(template, self.plane, caller)
            is_new = known is None or template != known["spec"]["template"]
            if is_new:
                revision = self._revision(location, name, template, known)
            else:
                assert known is not None
                revision = self.revisions[location, known["status"]["latestCreatedRevisionName"]]
            traffic = spec.get("traffic") or [{"latestRevision": True, "percent": 100}]
            names = {item["metadata"]["name"] for item in self.of(location, name)}
            check_traffic(traffic, names | {revision["metadata"]["name"]})
            if is_new:
                self.revisions[location, revision["metadata"]["name"]] = revision
            service = self._service(location, body, template, traffic, known)
            self.by_name[location, name] = service
            service["status"]["latestCreatedRevisionName"] = revision["metadata"]["name"]
            answered = copy.deepcopy(service)
        if is_new:
            threading.Thread(target=self._make_ready, args=(location, name, revision), daemon=True).start()
        else:
            self._settle(location, service)
            answered = copy.deepcopy(service)
        return answered

    def delete(self, location: str, name: str) -> None:
        self.get(location, name)
        with self._lock:
            for revision in self.of(location, name):
                self.plane.instances.stop(location, revision["metadata"]["name"])
                del self.revisions[location, revision["metadata"]["name"]]
            del self.by_name[location, name]
            self.plane.policies.forget(self.policy_name(location, name))

    def delete_revision(self, location: str, name: str) -> None:
        if (location, name) not in self.revisions:
            raise ApiError(404, f"Resource '{name}' of kind 'REVISION' does not exist.")
        service = self.get(
            location, self.revisions[location, name]["metadata"]["labels"]["serving.knative.dev/service"]
        )
        if name in {target.get("revisionName") for target in service["status"]["traffic"]}:
            raise ApiError(400, f"Revision {name} is serving traffic or has a tag.", "FAILED_PRECONDITION")
        self.plane.instances.stop(location, name)
        del self.revisions[location, name]

    def wait(self, location: str, name: str) -> Service:
        """Until the newest revision is ready. Raises ApiError with the reason where it never is."""
        service = self.by_name[location, name]
        revision = self.revisions[location, service["status"]["latestCreatedRevisionName"]]
        self.plane.instances.until_known(revision)
        [ready] = [item for item in revision["status"]["conditions"] if item["type"] == "Ready"]
        if ready["status"] != "True":
            raise ApiError(400, ready["message"], "FAILED_PRECONDITION")
        return service

    def _check_version(self, metadata: dict[str, Any], known: Service | None) -> None:
        given = metadata.get("resourceVersion")
        if known is not None and given and given != known["metadata"]["resourceVersion"]:
            raise ApiError(
                409,
                f"Conflict for resource '{metadata['name']}': version '{given}' was specified but current version is "
                f"'{known['metadata']['resourceVersion']}'.",
                "ABORTED",
            )

    def _revision(self, location: str, service: str, template: dict[str, Any], known: Service | None) -> dict[str, Any]:
        count = len(self.of(location, service)) + 1
        ending = "".join(self._letters.choices(string.ascii_lowercase, k=3))
        named = template["metadata"].get("name")
        name = named or f"{service}-{count:05}-{ending}"
        check_name("revision", name, rf"{service}-[a-z0-9]([a-z0-9-]{{0,60}}[a-z0-9])?")
        if (location, name) in self.revisions:
            raise ApiError(409, f"Revision named '{name}' with different configuration already exists.")
        labels = {"serving.knative.dev/service": service, "serving.knative.dev/configuration": service}
        metadata = template["metadata"] | {
            "name": name,
            "namespace": self.plane.number,
            "creationTimestamp": self.plane.now(),
            "generation": 1,
            "labels": template["metadata"].get("labels", {}) | labels | {"cloud.googleapis.com/location": location},
        }
        conditions = [{"type": "Ready", "status": "Unknown"}]
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Revision",
            "metadata": metadata,
            "spec": copy.deepcopy(template["spec"]),
            "status": {"observedGeneration": 1, "conditions": conditions, "serviceName": service},
        }

    def _service(
        self,
        location: str,
        body: Service,
        template: dict[str, Any],
        traffic: list[dict[str, Any]],
        known: Service | None,
    ) -> Service:
        before = known["metadata"] if known else {}
        generation = int(before.get("generation", 0)) + 1
        name = body["metadata"]["name"]
        kept = {key: body["metadata"][key] for key in ("labels", "annotations") if key in body["metadata"]}
        status = copy.deepcopy(known["status"]) if known else {"traffic": []}
        status |= {"observedGeneration": generation, "conditions": _conditions("Unknown", "Deploying."), "url": ""}
        status["url"] = self.plane.front_end.service_url(location, name)
        status["address"] = {"url": status["url"]}
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": kept
            | {
                "name": name,
                "namespace": self.plane.number,
                "labels": kept.get("labels", {}) | {"cloud.googleapis.com/location": location},
                "generation": generation,
                "uid": before.get("uid", f"00000000-0000-4000-8000-{len(self.by_name):012}"),
                "resourceVersion": f"AAY{generation:08}",
                "creationTimestamp": before.get("creationTimestamp", self.plane.now()),
                "selfLink": f"/apis/serving.knative.dev/v1/namespaces/{self.plane.number}/services/{name}",
            },
            "spec": {"template": template, "traffic": traffic},
            "status": status,
        }

    def _make_ready(self, location: str, name: str, revision: dict[str, Any]) -> None:
        trouble = self.plane.instances.trouble(location, revision)
        with self._lock:
            status = "False" if trouble else "True"
            message = f"Revision '{revision['metadata']['name']}' is not ready and cannot serve traffic. {trouble}"
            revision["status"]["conditions"] = _conditions(status, message if trouble else "")
            service = self.by_name.get((location, name))
            if service is None:
                return
            if trouble:
                service["status"]["conditions"] = _conditions(status, message)
            else:
                service["status"]["latestReadyRevisionName"] = revision["metadata"]["name"]
                self._settle(location, service)
        self.plane.instances.tell_known(revision)

    def _settle(self, location: str, service: Service) -> None:
        """The traffic goes where it is to go, and revisions without any end."""
        name, latest = parts_of(service), service["status"].get("latestReadyRevisionName", "")
        links = {
            target["tag"]: self.plane.front_end.tag_url(location, name, target["tag"])
            for target in service["spec"]["traffic"]
            if target.get("tag")
        }
        service["status"]["traffic"] = resolved(service["spec"]["traffic"], latest, links)
        service["status"]["conditions"] = _conditions("True", "")
        serving = {target["revisionName"] for target in service["status"]["traffic"]}
        for revision in self.of(location, name):
            if revision["metadata"]["name"] not in serving | {service["status"]["latestCreatedRevisionName"]}:
                self.plane.instances.stop(location, revision["metadata"]["name"])


def _conditions(status: str, message: str) -> list[dict[str, Any]]:
    kinds = ("Ready", "ConfigurationsReady", "RoutesReady")
    extra = {"message": message} if message else {}
    if status == "False":
        extra["reason"] = "HealthCheckContainerError"
    return [{"type": kind, "status": status, **extra} for kind in kinds]
