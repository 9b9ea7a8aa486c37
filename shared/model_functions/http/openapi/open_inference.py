"""The Open Inference Protocol with Triton's extensions, described."""

from typing import Any

from model_functions.http.openapi.section import (
    JSON_BODY,
    KNOWING,
    LOADING,
    OF_A_MODEL,
    REVISION,
    STORE,
    Section,
    events,
    json_body,
)
from model_functions.http.openapi.served import Model, Record, Served
from model_functions.http.openapi.tensors import inputs_of
from model_functions.http.protocols.datatypes import DTYPES
from model_functions.http.protocols.inference import BYTES, HEADER
from model_functions.http.protocols.open_inference import refuse
from model_functions.schemas import COUNT, array, nullable, record, string

_ABOUT = (
    "For clients of KServe, Triton and MLServer: tensors in, tensors out. data is nested or flat, row-major, and has "
    f"as many values as shape says. With the header {HEADER} bytes of tensors stand behind the JSON, as Triton's "
    "binary tensor extension has them; bodies may be compressed by gzip or deflate both ways."
)
_BINARY = f"The JSON, and behind it the bytes of tensors; {HEADER} says how long the JSON is."
_FACTS: Record = {"type": "object", "description": "Values by name; those of the model, and Triton's own."}
_STATE = {"name": string(), "version": string(), "state": {"enum": ["READY", "UNAVAILABLE", "UNKNOWN"]}}
_TENSOR = record({"name": string(), "datatype": {"enum": list(DTYPES)}, "shape": array({"type": "integer"})})


def describe(served: Served) -> Section:
    section = Section(served, "Open Inference Protocol v2", _ABOUT, refuse, record({"error": string()}))
    _describe_the_server(section)
    for which, word in {"": "", "/versions/{version}": "_version"}.items():
        path = f"/v2/models/{{model}}{which}"
        _describe_models(section, path, word)
        for model in served.models:
            _describe_asking(section, model, path, word)
    return section


def _describe_the_server(section: Section) -> None:
    told = record({"name": string(), "version": {"const": "2"}, "extensions": array(string())})
    section.tell("/v2", "What this server can do.", told, [], id="server_metadata")
    well = record({"live": {"const": True}, "ready": {"const": True}})
    section.tell("/v2/health/live", "Whether the process is alive.", well, [], id="server_live")
    section.tell("/v2/health/ready", "Whether the settings work.", well, STORE, id="server_ready")
    section.tell("/v2/models", "The models' names.", record({"models": array(string())}), STORE, id="model_names")
    section.tell("/v2/models/stats", "Counts and times of the loaded models.", _statistics(), [], id="all_statistics")
    ready = json_body(record({"ready": {"type": "boolean"}}, []), {"those that are loaded": {"ready": True}})
    indexed = array(record(_STATE, ["name", "state"]))
    section.tell(
        *("/v2/repository/index", "The models, and which of them are loaded.", indexed, [*STORE, *JSON_BODY]),
        method="POST",
        body=ready,
        id="repository_index",
    )
    nothing = json_body(record({"parameters": nullable({"type": "object", "maxProperties": 0})}, []), {"nothing": {}})
    loaded = record({"name": string(), "load": {"const": True}})
    section.tell(
        *("/v2/repository/models/{model}/load", "Load a model.", loaded, [*LOADING, *JSON_BODY]),
        method="POST",
        who=OF_A_MODEL,
        body=nothing,
        id="load_model",
    )
    unloaded = record({"name": string(), "unload": {"const": True}})
    section.tell(
        *("/v2/repository/models/{model}/unload", "Let go of a model on this instance.", unloaded, KNOWING),
        method="POST",
        id="unload_model",
    )


def _describe_models(section: Section, path: str, word: str) -> None:
    told = {"name": string(), "versions": array(string(pattern=REVISION)), "platform": string()}
    tensors = {"inputs": array(_TENSOR), "outputs": array(_TENSOR)}
    section.tell(
        *(path, "A model's inputs and outputs.", record(told | tensors), LOADING),
        who=OF_A_MODEL,
        id=f"model_metadata{word}",
    )
    ready = record({"name": string(), "ready": {"const": True}})
    who = ["X-Model-Revision"]
    section.tell(f"{path}/ready", "Whether a model is there.", ready, KNOWING, who=who, id=f"model_ready{word}")
    configured = record({"name": string(), "data_type": string(pattern="^TYPE_"), "dims": array({"type": "integer"})})
    tensors = {"input": array(configured), "output": array(configured)}
    config = record({"name": string(), "platform": string(), "max_batch_size": {"type": "integer"}} | tensors)
    section.tell(
        f"{path}/config", "A model as Triton configures it.", config, LOADING, who=OF_A_MODEL, id=f"model_config{word}"
    )
    section.tell(f"{path}/stats", "Counts and times of a model.", _statistics(), KNOWING, id=f"model_statistics{word}")


def _describe_asking(section: Section, model: Model, path: str, word: str) -> None:
    inputs = inputs_of(model, model.items[0])
    examples: dict[str, Any] = {"tensors": {"inputs": inputs}} if inputs else {}
    binary = {BYTES: {"schema": string(format="binary", description=_BINARY)}}
    section.ask(
        *(f"{path}/infer", "Predict tensors.", _inferred(model), model),
        json_body(_request(model), examples) | binary,
        also=binary,
        id=f"infer{word}",
    )
    if not model.speaks("generate"):
        return
    text = next((item for item in model.items if isinstance(item, str)), "Hello")
    body = json_body(_generate(), {"text": {"id": "1", "text_input": text}})
    number = {"id": string(), "model_name": {"const": model.name}, "model_version": string(pattern=REVISION)}
    output = {"anyOf": [string(), array(string())]}
    told = record(number | {"text_output": output}, ["model_name", "model_version", "text_output"])
    section.ask(f"{path}/generate", "Write a text.", told, model, body, id=f"generate{word}")
    pieces = f"{path}/generate_stream"
    each = events("Each piece of the text as a message of the shape of generate's answer.")
    section.ask(pieces, "Write a text, piece by piece.", told, model, body, also=each, id=f"stream{word}")


def _request(model: Model) -> Record:
    names = ", ".join(spec["name"] for spec in model.inputs)
    asked = {
        "name": string(description=f"Of the model: {names}."),
        "shape": array(COUNT),
        "datatype": {"enum": list(DTYPES)},
        "data": array({}),
        "parameters": record({"binary_data_size": COUNT}, []),
    }
    wanted = {
        "name": string(),
        "parameters": record({"binary_data": {"type": "boolean"}, "classification": COUNT}, []),
    }
    fields = {
        "id": nullable(string()),
        "parameters": nullable(_FACTS),
        "inputs": array(record(asked, ["name", "shape", "datatype"]), minItems=1),
        "outputs": nullable(array(record(wanted, ["name"]))),
    }
    return {"title": model.name, **record(fields, ["inputs"])}


def _inferred(model: Model) -> Record:
    names: Record = {"enum": [spec["name"] for spec in model.outputs]} if model.outputs else string()
    output = {"name": names, "datatype": {"enum": list(DTYPES)}, "shape": array(COUNT), "data": array({})}
    told = {
        "model_name": {"const": model.name},
        "model_version": string(pattern=REVISION),
        "id": string(),
        "outputs": array(record(output, ["name", "datatype", "shape"])),
    }
    return record(told, ["model_name", "model_version", "outputs"])


def _generate() -> Record:
    fields = {"id": nullable(string()), "text_input": string(minLength=1), "parameters": nullable({"type": "object"})}
    return record(fields, ["text_input"])


def _statistics() -> Record:
    duration = record({"count": COUNT, "ns": COUNT})
    words = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
    one = {
        "name": string(),
        "version": string(),
        "last_inference": COUNT,
        "inference_count": COUNT,
        "execution_count": COUNT,
        "inference_stats": record(dict.fromkeys(words, duration)),
    }
    return record({"model_stats": array(record(one))})
