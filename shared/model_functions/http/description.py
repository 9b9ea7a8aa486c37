"""What a function serves, as data: one record a model, read off its manifest and not off the model."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from model_functions.artifact.manifest import Manifest
from model_functions.errors import StoreUnavailable
from model_functions.names import function_name
from model_functions.repository import Repository, listing


def models(
    repository: Repository, alias: str, family: str | None = None, loaded: Sequence[Manifest] = ()
) -> list[dict[str, Any]]:
    """The record of every model that is published under the alias.

    Args:
        loaded: what this instance serves of them, whatever the store says by now, if it says anything.
    """
    found = {(manifest.family, manifest.name): manifest for manifest in loaded}
    try:
        published = {(manifest.family, manifest.name): manifest for _, manifest in listing(repository, alias, family)}
    except StoreUnavailable:
        if not found:
            raise
    else:
        found = published | found
    return [_record(alias, manifest) for _, manifest in sorted(found.items(), key=itemgetter(0))]


def _record(alias: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "model_name": manifest.name,
        "family": manifest.family,
        "function": function_name(manifest.family),
        "alias": alias,
        "revision": manifest.revision,
        "description": manifest.description,
        "examples": manifest.examples,
        **manifest.interface,
    }
