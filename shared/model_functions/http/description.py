"""What a function serves, as data: one record a model, read off its manifest and not off the model."""

from typing import Any

from model_functions.artifact.manifest import Manifest
from model_functions.names import function_name
from model_functions.repository import Pointer, Repository, listing


def models(repository: Repository, alias: str, family: str | None = None) -> list[dict[str, Any]]:
    """The record of every model that is published under the alias."""
    return [_record(pointer, manifest) for pointer, manifest in listing(repository, alias, family)]


def _record(pointer: Pointer, manifest: Manifest) -> dict[str, Any]:
    return {
        "model_name": manifest.name,
        "family": manifest.family,
        "function": function_name(manifest.family),
        "alias": pointer.alias,
        "revision": manifest.revision,
        "description": manifest.description,
        "examples": manifest.examples,
        **manifest.interface,
    }
