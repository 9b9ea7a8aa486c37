"""The models that functions would find in the bucket, read as they read them."""

from deploy import publisher
from deploy.cloud.configuration import Configuration
from model_functions.access.keys import KEYS_NAME
from model_functions.artifact.manifest import Manifest
from model_functions.artifact.signing import Trust
from model_functions.errors import ObjectNotFound, ServingError
from model_functions.repository import Pointer, Repository
from model_functions.settings import Settings
from model_functions.store import open_store


def repository(configuration: Configuration) -> Repository:
    """Of deploy.yaml's bucket, with the keys of a release alone."""
    return Repository(open_store(configuration.model_store), Trust.read(publisher.RELEASE_TRUST))


def aliased(configuration: Configuration) -> list[tuple[Pointer, Manifest]]:
    """Every model that functions serve by default, with its alias.

    Raises ValueError that names the bucket, and what to do, where it cannot be read; a model whose signature does not
    count, or whose alias is broken, would not be served either, and stops a release.
    """
    try:
        found = repository(configuration)
        alias = Settings.model_alias
        return [
            (pointer, found.manifest(family, name, pointer.revision, pointer.manifest))
            for family, name in found.names()
            for pointer in found.aliases(family, name)
            if pointer.alias == alias
        ]
    except ServingError as exc:
        raise _unreadable(configuration, exc) from exc


def has_keys(configuration: Configuration) -> bool:
    """Whether there is a list of access keys, without which nobody gets into a function with ACCESS=keys.

    Raises ValueError as ``aliased``.
    """
    try:
        repository(configuration).store.read(KEYS_NAME)
    except ObjectNotFound:
        return False
    except ServingError as exc:
        raise _unreadable(configuration, exc) from exc
    return True


def by_family(models: list[tuple[Pointer, Manifest]]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for pointer, manifest in models:
        found.setdefault(pointer.family, []).append(manifest)
    return found


def _unreadable(configuration: Configuration, error: ServingError) -> ValueError:
    return ValueError(
        f"The models in {configuration.model_store} cannot be read: {error} Is it there (python -m deploy "
        "bootstrap), and are you logged in for it (gcloud auth application-default login)?"
    )
