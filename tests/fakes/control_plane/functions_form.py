"""The form of a function: what may stand in it, what Google fills in, and the service that is made of it."""

import copy
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tests.fakes.control_plane.routing import ApiError, only
from tests.fakes.control_plane.rules import (
    check_environment,
    check_instances,
    check_labels,
    check_resources,
    check_timeout,
    default_cpu,
)

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

_FUNCTION = (
    *("name", "description", "buildConfig", "serviceConfig", "eventTrigger", "labels", "environment", "kmsKeyName"),
    *("state", "stateMessages", "updateTime", "createTime", "url", "buildpackStack", "satisfiesPzs", "upgradeInfo"),
)
_BUILD = (
    *("build", "runtime", "entryPoint", "source", "sourceProvenance", "workerPool", "environmentVariables"),
    *("dockerRegistry", "dockerRepository", "serviceAccount", "automaticUpdatePolicy", "onDeployUpdatePolicy"),
    "sourceToken",
)
_SERVICE = (
    *("service", "timeoutSeconds", "availableMemory", "availableCpu", "environmentVariables", "maxInstanceCount"),
    *("minInstanceCount", "vpcConnector", "vpcConnectorEgressSettings", "ingressSettings", "uri", "revision"),
    *("serviceAccountEmail", "allTrafficOnLatestRevision", "secretEnvironmentVariables", "secretVolumes"),
    *("maxInstanceRequestConcurrency", "securityLevel", "binaryAuthorizationPolicy"),
)
_INGRESS = {
    "ALLOW_ALL": "all",
    "ALLOW_INTERNAL_ONLY": "internal",
    "ALLOW_INTERNAL_AND_GCLB": "internal-and-cloud-load-balancing",
}


def check_function(function: dict[str, Any], runtimes: Collection[str]) -> None:
    """Raises ApiError for a field that is unknown and a value that Google refuses by itself."""
    only(function, _FUNCTION)
    build, service = function.get("buildConfig", {}), function.get("serviceConfig", {})
    only(build, _BUILD, "build_config")
    only(service, _SERVICE, "service_config")
    check_labels(function.get("labels", {}))
    if "runtime" in build and build["runtime"] not in runtimes:
        raise ApiError(400, f"Runtime {build['runtime']} is not supported. Supported: {', '.join(runtimes)}.")
    if "entryPoint" in build and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,127}", build["entryPoint"]):
        raise ApiError(400, f"Invalid entry point: {build['entryPoint']}.")
    check_environment(service.get("environmentVariables", {}))
    if service.get("ingressSettings", "ALLOW_ALL") not in _INGRESS:
        raise ApiError(400, f"Invalid ingress settings: {service['ingressSettings']}.")


def completed(function: dict[str, Any], plane: "ControlPlane") -> dict[str, Any]:
    """With Google's defaults; raises ApiError for what does not go together."""
    function = copy.deepcopy(function)
    function.setdefault("environment", "GEN_2")
    if function["environment"] != "GEN_2":
        raise ApiError(400, f"environment {function['environment']}: only GEN_2 has this API.")
    compute = f"{plane.number}-compute@developer.gserviceaccount.com"
    service, build = function.setdefault("serviceConfig", {}), function.setdefault("buildConfig", {})
    defaults = {
        "availableMemory": "256M",
        "timeoutSeconds": 60,
        "maxInstanceCount": 100,
        "maxInstanceRequestConcurrency": 1,
        "ingressSettings": "ALLOW_ALL",
        "serviceAccountEmail": compute,
    }
    for name, value in defaults.items():
        if not service.get(name):
            service[name] = value
    memory = re.sub(r"([MG])$", r"\1i", service["availableMemory"])
    if not service.get("availableCpu"):
        service["availableCpu"] = default_cpu(memory)
    if not build.get("serviceAccount"):
        build["serviceAccount"] = f"{plane.project_name}/serviceAccounts/{compute}"
    check_resources(memory, service["availableCpu"], service["maxInstanceRequestConcurrency"])
    check_timeout(service["timeoutSeconds"])
    check_instances(service.get("minInstanceCount", 0), service["maxInstanceCount"])
    return function


def merged(known: dict[str, Any], body: dict[str, Any], mask: list[str]) -> dict[str, Any]:
    """The known one with the body's fields that the mask names; with all of them where it names none."""
    allowed = {"serviceConfig": _SERVICE, "buildConfig": _BUILD}
    for path in mask or [key for key in body if key != "name"]:
        first, _, rest = path.partition(".")
        if first not in _FUNCTION or (rest and rest.partition(".")[0] not in allowed.get(first, ())):
            raise ApiError(400, f"Invalid update mask path: {path}")
        if not rest:
            known[first] = body.get(first)
        elif rest in body.get(first, {}):
            known.setdefault(first, {})[rest] = body[first][rest]
        else:
            known.setdefault(first, {}).pop(rest, None)
    if any(path == "serviceConfig.availableMemory" for path in mask) and "serviceConfig.availableCpu" not in mask:
        known["serviceConfig"].pop("availableCpu", None)
    return {key: value for key, value in known.items() if value is not None}


def template_of(function: dict[str, Any], location: str, name: str, plane: "ControlPlane") -> dict[str, Any]:
    """The service of Cloud Run, as Google makes it of a function."""
    service, build = function["serviceConfig"], function["buildConfig"]
    variables = {"LOG_EXECUTION_ID": "true"} | service.get("environmentVariables", {})
    plain = [{"name": key, "value": value} for key, value in sorted(variables.items())]
    secret = [
        {
            "name": entry["key"],
            "valueFrom": {"secretKeyRef": {"name": entry["secret"], "key": entry.get("version", "latest")}},
        }
        for entry in service.get("secretEnvironmentVariables", [])
    ]
    memory = re.sub(r"([MG])$", r"\1i", service["availableMemory"])
    resources = {"limits": {"memory": memory, "cpu": service["availableCpu"]}}
    scale = {"autoscaling.knative.dev/maxScale": str(service["maxInstanceCount"])}
    if service.get("minInstanceCount"):
        scale["autoscaling.knative.dev/minScale"] = str(service["minInstanceCount"])
    container = {"name": "worker", "image": build["_image"], "env": plain + secret, "resources": resources}
    volumes = service.get("secretVolumes", [])
    # Nothing is kept that is empty: who reads it and writes it back leaves that out, and would change the template.
    if volumes:
        container["volumeMounts"] = [{"name": entry["secret"], "mountPath": entry["mountPath"]} for entry in volumes]
    container["ports"] = [{"name": "http1", "containerPort": 8080}]
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": function.get("labels", {})
            | {"goog-managed-by": "cloudfunctions", "goog-cloudfunctions-runtime": build["runtime"]},
            "annotations": {
                "cloudfunctions.googleapis.com/function-id": name,
                "run.googleapis.com/build-id": build["build"].rpartition("/")[2],
                "run.googleapis.com/ingress": _INGRESS[service["ingressSettings"]],
                "run.googleapis.com/custom-audiences": f'["{plane.front_end.function_url(location, name)}"]',
            },
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": {"run.googleapis.com/startupProbeType": "Default"},
                    "annotations": scale
                    | {
                        "cloudfunctions.googleapis.com/trigger-type": "HTTP_TRIGGER",
                        "run.googleapis.com/client-name": "cloudfunctions",
                        "run.googleapis.com/startup-cpu-boost": "true",
                    },
                },
                "spec": {
                    "containerConcurrency": service["maxInstanceRequestConcurrency"],
                    "timeoutSeconds": service["timeoutSeconds"],
                    "serviceAccountName": service["serviceAccountEmail"],
                    "containers": [container],
                    **({"volumes": [_volume(entry) for entry in volumes]} if volumes else {}),
                },
            }
        },
    }


def _volume(entry: dict[str, Any]) -> dict[str, Any]:
    items = [{"key": version["version"], "path": version["path"].lstrip("/")} for version in entry.get("versions", [])]
    return {"name": entry["secret"], "secret": {"secretName": entry["secret"], "items": items}}
