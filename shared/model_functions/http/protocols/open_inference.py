"""``/v2``: the Open Inference Protocol, which KServe, Triton and MLServer speak, with Triton's extensions.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; triton-inference-server/server,
docs/protocol/*.md; SeldonIO/MLServer, mlserver/rest/app.py.
"""

import json
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ModelUnavailable, ServingError
from model_functions.http.body import raw_body, read_json
from model_functions.http.errors import refused, status_of
from model_functions.http.message import Request, Response
from model_functions.http.protocols.datatypes import DATATYPES, shape_of
from model_functions.http.protocols.generate import RENAMED, read_generate
from model_functions.http.protocols.inference_request import read_infer
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Published, headers_of
from model_functions.http.routes import Table
from model_functions.http.service import waiting
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.tally import Tally
from model_functions.tensors import TensorSpec

if TYPE_CHECKING:
    from model_functions.http.service import Service

EXTENSIONS = [
    *("binary_tensor_data", "classification", "generate", "model_configuration", "model_repository"),
    *("model_repository(unload_dependents)", "parameters", "schedule_policy", "statistics"),
]


def routes(service: "Service") -> Table:
    limit = service.settings.max_body_bytes
    infer = service.predicting(lambda request: read_infer(request, limit))
    generate = service.predicting(lambda request: read_generate(request, limit), "generate")
    stream = service.predicting(lambda request: read_generate(request, limit, in_pieces=True), "generate")
    load = service.telling(lambda request, model: _loaded(request, model, limit))
    table: dict[str, Any] = {
        "/v2": {"GET": lambda _: server_metadata(service.name)},
        "/v2/health/live": {"GET": lambda request: alive(service, request)},
        "/v2/health/ready": {"GET": waiting(lambda request: ready(service, request))},
        "/v2/models": {"GET": waiting(lambda request: Response.json({"models": service.seen_names(request)}))},
        "/v2/models/stats": {"GET": lambda request: all_statistics(service, request)},
        "/v2/repository/index": {"POST": waiting(lambda request: repository_index(service, request))},
        "/v2/repository/models/{model}/load": {"POST": load},
        "/v2/repository/models/{model}/unload": {"POST": service.knowing(lambda _, model: unloaded(service, model))},
    }
    for which in ("", "/versions/{version}"):
        path = f"/v2/models/{{model}}{which}"
        table |= {
            path: {"GET": service.telling(model_metadata)},
            f"{path}/ready": {"GET": service.knowing(lambda _, model: model_ready(service, model))},
            f"{path}/infer": {"POST": infer},
            f"{path}/generate": {"POST": generate},
            f"{path}/generate_stream": {"POST": stream},
            f"{path}/config": {"GET": service.telling(model_configuration)},
            f"{path}/stats": {"GET": service.knowing(lambda _, model: model_statistics(service, model))},
        }
    return table


def refuse(error: ServingError, request: Request) -> Response:
    """``{"error": text}``; what cannot be read and what cannot be meant are both 400 here."""
    status = status_of(error)
    generates = request.route.endswith(("/generate", "/generate_stream"))
    message = in_words(error.message, "text_input", RENAMED) if generates else error.message
    return refused(error, {"error": message}, status)


def server_metadata(name: str) -> Response:
    return Response.json({"name": name, "version": "2", "extensions": EXTENSIONS})


def alive(service: "Service", request: Request) -> Response:
    """KServe's client looks for the one word after ``live`` and for the other after ``ready``."""
    service.health(request)
    return Response.json({"live": True, "ready": True})


def ready(service: "Service", request: Request) -> Response:
    """Raises what keeps the settings from working."""
    service.ready()
    return alive(service, request)


def model_ready(service: "Service", model: Published) -> Response:
    """A model that can be loaded is ready: that happens when it is asked. Only one that somebody unloaded is not."""
    if model.name in service.unloaded():
        raise ModelUnavailable(f"{model.name} was unloaded here. Load it, or ask it: that loads it too.")
    return Response.json({"name": model.name, "ready": True}, headers={"X-Model-Revision": model.revision})


def model_metadata(request: Request, model: LoadedModel) -> Response:
    wrapper, manifest = model.wrapper, model.manifest
    told = {
        "name": manifest.name,
        "versions": [manifest.revision],
        "platform": manifest.here.engine.name,
        "inputs": [_tensor(spec) for spec in wrapper.tensor_inputs()],
        "outputs": [_tensor(spec) for spec in wrapper.tensor_outputs()],
    }
    return Response.json(told, headers=headers_of(model))


def model_configuration(request: Request, model: LoadedModel) -> Response:
    """As Triton has it of a model whose shapes tell the batch's dimension too."""
    wrapper, manifest = model.wrapper, model.manifest
    told = {
        "name": manifest.name,
        "platform": manifest.here.engine.name,
        "backend": manifest.here.engine.name,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": [_configured(spec) | {"optional": spec.optional} for spec in wrapper.tensor_inputs()],
        "output": [_configured(spec) for spec in wrapper.tensor_outputs()],
        "parameters": {
            name: {"string_value": json.dumps(parameter.schema(), ensure_ascii=False)}
            for name, parameter in wrapper.parameters.items()
        },
    }
    return Response.json(told, headers=headers_of(model))


def repository_index(service: "Service", request: Request) -> Response:
    """Every model, with its state on this instance: one that is not loaded yet is ready as well."""
    body = _optional_object(request, service.settings.max_body_bytes)
    only_ready = body.get("ready", False)
    if not isinstance(only_ready, bool):
        raise InvalidInput("ready", f'"ready" is {json_type(only_ready)}. Send true or false.')
    unloaded, loaded = service.unloaded(), {model.manifest.name for model in service.loaded()}
    found = []
    for record in service.seen(request):
        name = record["model_name"]
        state = "UNAVAILABLE" if name in unloaded else "READY"
        reason = "unloaded" if name in unloaded else "" if name in loaded else "its first request loads it"
        found.append({"name": name, "version": record["revision"], "state": state, "reason": reason})
    return Response.json([one for one in found if one["state"] == "READY" or not only_ready])


def unloaded(service: "Service", model: Published) -> Response:
    service.unload(model.name)
    return Response.json({"name": model.name, "unload": True})


def all_statistics(service: "Service", request: Request) -> Response:
    """Those of the models that this instance has in memory, and that are for the eyes of who asks."""
    sees = request.identity.sees
    seen = [model for model in service.loaded() if sees(model.manifest.family, model.manifest.name)]
    return Response.json({"model_stats": [_statistics(model) for model in seen]})


def model_statistics(service: "Service", model: Published) -> Response:
    found = [one for one in service.loaded() if one.manifest.name == model.name]
    told = [_statistics(one) for one in found] or [_counts(model.name, model.revision, Tally(), 0)]
    return Response.json({"model_stats": told})


def _loaded(request: Request, model: LoadedModel, limit: int) -> Response:
    if _optional_object(request, limit).get("parameters") not in (None, {}):
        raise InvalidInput(
            "parameters",
            "A request cannot bring a model's configuration or files. Publish it: python -m deploy publish.",
        )
    return Response.json({"name": model.manifest.name, "load": True}, headers=headers_of(model))


def _optional_object(request: Request, limit: int) -> dict[str, Any]:
    """The body; Triton's clients send none where they could."""
    if not raw_body(request, limit):
        return {}
    body = read_json(request, limit)
    if not isinstance(body, dict):
        raise InvalidInput("", f"The body is {json_type(body)}. Send an object, or nothing.")
    return body


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": shape_of(spec)}


def _configured(spec: TensorSpec) -> dict[str, Any]:
    word = {"string": "STRING"}.get(spec.dtype, DATATYPES[spec.dtype])
    return {"name": spec.name, "data_type": f"TYPE_{word}", "dims": shape_of(spec)}


def _statistics(model: LoadedModel) -> dict[str, Any]:
    return _counts(model.manifest.name, model.manifest.revision, model.tally, model.pace.runs)


def _counts(name: str, revision: str, tally: Tally, runs: int) -> dict[str, Any]:
    answered, nothing = tally.answered, _duration(0, 0.0)
    return {
        "name": name,
        "version": revision,
        "last_inference": round(tally.latest * 1000),
        "inference_count": tally.items,
        "execution_count": runs,
        "inference_stats": {
            "success": _duration(answered, tally.answered_s),
            "fail": _duration(tally.failed, tally.failed_s),
            "queue": _duration(answered, tally.queue_s),
            "compute_input": _duration(answered, tally.input_s),
            "compute_infer": _duration(answered, tally.infer_s),
            "compute_output": _duration(answered, tally.output_s),
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}
