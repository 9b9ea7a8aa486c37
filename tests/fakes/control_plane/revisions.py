"""What a revision is made of, read off Cloud Run's form of it, and what Cloud Run refuses there."""

import re
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import ApiError, only
from tests.fakes.control_plane.rules import (
    check_environment,
    check_instances,
    check_labels,
    check_resources,
    check_timeout,
    cpus,
)

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

_SPEC = (
    *("containerConcurrency", "containers", "serviceAccountName", "timeoutSeconds", "volumes", "nodeSelector"),
    *("enableServiceLinks", "runtimeClassName", "imagePullSecrets"),
)
_CONTAINER = (
    *("image", "name", "env", "resources", "ports", "startupProbe", "livenessProbe", "volumeMounts", "command", "args"),
    *("workingDir", "readinessProbe"),
)
_MOST = "autoscaling.knative.dev/maxScale"
_LEAST = "autoscaling.knative.dev/minScale"
_GPU = "nvidia.com/gpu"


def parts_of(service: dict[str, Any]) -> str:
    return str(service["metadata"]["name"])


def container_of(template: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = template["spec"]["containers"]
    return containers[0]


def account_of(template: dict[str, Any]) -> str:
    return str(template["spec"]["serviceAccountName"])


def simulate_defaults(template: dict[str, Any], plane: "ControlPlane") -> dict[str, Any]:
    """The template as Cloud Run completes it."""
    metadata, spec = template.setdefault("metadata", {}), template.setdefault("spec", {})
    if not spec.get("containers"):
        raise ApiError(400, "spec.template.spec.containers: must have a container.")
    annotations = metadata.setdefault("annotations", {})
    annotations.setdefault(_MOST, "100")
    container = spec["containers"][0]
    limits = container.setdefault("resources", {}).setdefault("limits", {})
    limits.setdefault("cpu", "1000m")
    limits.setdefault("memory", "512Mi")
    concurrency = 80 if cpus(limits["cpu"]) >= 1 else 1
    spec["containerConcurrency"] = spec.get("containerConcurrency") or concurrency
    spec.setdefault("timeoutSeconds", 300)
    spec.setdefault("serviceAccountName", f"{plane.number}-compute@developer.gserviceaccount.com")
    if "startupProbe" not in container:
        probe = {"tcpSocket": {"port": 8080}, "failureThreshold": 1, "periodSeconds": 240, "timeoutSeconds": 240}
        container["startupProbe"] = probe
    return template


def check_template(template: dict[str, Any], plane: "ControlPlane", caller: str) -> None:
    """Raises ApiError for what Cloud Run refuses at once."""
    spec = template["spec"]
    only(template, ("metadata", "spec"), "spec.template")
    only(spec, _SPEC, "spec.template.spec")
    container = container_of(template)
    only(container, _CONTAINER, "spec.template.spec.containers[0]")
    limits = container["resources"]["limits"]
    check_resources(limits["memory"], limits["cpu"], spec["containerConcurrency"])
    check_timeout(spec["timeoutSeconds"])
    annotations = template["metadata"]["annotations"]
    check_instances(int(annotations.get(_LEAST, 0)), int(annotations[_MOST]))
    labels = template["metadata"].get("labels", {})
    check_labels({key: value for key, value in labels.items() if "/" not in key})
    check_environment({entry["name"]: entry.get("value", "") for entry in container.get("env", [])})
    _check_gpu(limits, template)
    _check_probe(container["startupProbe"])
    account = spec["serviceAccountName"]
    if not plane.accounts.exists(account):
        raise ApiError(400, f"Service account {account} was not found.", "FAILED_PRECONDITION")
    if not plane.may(caller, "iam.serviceAccounts.actAs", f"projects/{plane.project}/serviceAccounts/{account}"):
        raise ApiError(
            403, f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it may not exist)."
        )


def _check_gpu(limits: dict[str, str], template: dict[str, Any]) -> None:
    if _GPU not in limits:
        return
    if cpus(limits["cpu"]) < 4 or not re.fullmatch(r"(1[6-9]|2\d|3[0-2])Gi", limits["memory"]):
        raise ApiError(400, f"A GPU needs 4 cpu and 16Gi at least, not {limits['cpu']} and {limits['memory']}.")
    if template["metadata"]["annotations"].get("run.googleapis.com/cpu-throttling", "").lower() != "false":
        raise ApiError(400, "A GPU needs an instance whose CPU is always allocated: no CPU throttling.")
    if "run.googleapis.com/accelerator" not in template["spec"].get("nodeSelector", {}):
        raise ApiError(400, "A GPU needs a type: nodeSelector run.googleapis.com/accelerator.")


def _check_probe(probe: dict[str, Any]) -> None:
    kinds = {"httpGet", "tcpSocket", "grpc"} & set(probe)
    if len(kinds) != 1:
        raise ApiError(400, "A startup probe needs exactly one of httpGet, tcpSocket and grpc.")
    period, timeout = probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1)
    tries = probe.get("failureThreshold", 3)
    if not 1 <= period <= 240 or not 1 <= timeout <= 240 or timeout > period:
        raise ApiError(
            400, f"A startup probe every {period} s with a timeout of {timeout} s: 1 to 240, timeout <= period."
        )
    if period * tries > 240:
        raise ApiError(400, f"A startup probe takes {period} s x {tries} = {period * tries} s; at most 240.")
