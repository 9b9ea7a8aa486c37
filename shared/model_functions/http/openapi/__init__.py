"""The description of a function in OpenAPI 3.1: a module for what all functions answer, and one for each protocol."""

from collections.abc import Iterable
from importlib import import_module

from model_functions.http.front_door import MAX_TIMEOUT_MS
from model_functions.http.openapi import own
from model_functions.http.openapi.section import REVISION
from model_functions.http.openapi.served import Record, Served
from model_functions.http.protocols import module_names
from model_functions.schemas import string

_ABOUT = (
    "Trained models behind one endpoint, in the protocols that clients speak. An answer says which revision of the "
    "model gave it (X-Model-Revision), its request id, and where its time went (Server-Timing). A failure says in "
    "X-Error-Code what went wrong, whatever the protocol; where another try helps, Retry-After says when."
)

#: How a caller may prove who it is.
PROOFS = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access key, or an ID token of Google's."},
}


def document(served: Served) -> Record:
    """OpenAPI 3.1, a part for each protocol."""
    sections = [own.describe(served)]
    for name in module_names():
        module = import_module(f"{__name__}.{name}")
        sections.append(module.describe(served))
    paths: Record = {}
    responses: Record = {}
    schemas: Record = {name: schema for model in served.models for name, schema in model.schemas().items()}
    for section in sections:
        for path, item in section.paths.items():
            paths.setdefault(path, {}).update(item)
        schemas |= section.schemas
        responses |= section.responses
    _tell_apart(operation for item in paths.values() for operation in item.values())
    return {
        "openapi": "3.1.0",
        "info": {"title": served.title, "version": "1", "description": _ABOUT},
        # The document stands at the function's root, under whatever prefix that is reached.
        "servers": [{"url": "."}],
        "tags": [{"name": section.tag, "description": section.about} for section in sections if section.paths],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "headers": _headers(),
            "parameters": _parameters(),
            "securitySchemes": {proof: PROOFS[proof] for proof in served.access},
        },
    }


def _tell_apart(operations: Iterable[Record]) -> None:
    """Gives each operation an id of its own, where models are called alike but for a dash."""
    counts: dict[str, int] = {}
    for operation in operations:
        name = operation["operationId"]
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            operation["operationId"] = f"{name}_{counts[name]}"


def _headers() -> Record:
    told = {
        "X-Request-Id": ("The caller's, or a new one. The function's log has it.", string(minLength=1), True),
        "Server-Timing": ("Where the time went: boot, download, verify, load, queue, infer …", string(), True),
        "X-Model-Revision": ("Who answers.", string(pattern=REVISION), True),
        "X-Model-Engine": ("What computed it.", string(), True),
        "X-Model-Precision": ("In which precision.", string(), True),
        "X-Model-Stale": ("The alias may name another revision by now.", {"type": "string", "enum": ["true"]}, False),
        "Retry-After": ("Seconds after which another try may help.", string(pattern="^[0-9]+$"), False),
    }
    return {
        name: {"description": about, "schema": schema, "required": required}
        for name, (about, schema, required) in told.items()
    }


def _parameters() -> Record:
    timeout = {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_MS}
    told = {
        "X-Request-Id": ("Comes back, if it is of at most 64 letters, digits, dots, dashes and underscores.", string()),
        "X-Request-Timeout-Ms": ("After so many milliseconds the caller waits no longer: 504.", timeout),
    }
    return {
        name: {"name": name, "in": "header", "description": about, "schema": schema}
        for name, (about, schema) in told.items()
    }
