"""Who publishes: the signing key, the keys that are trusted, and the repository they open."""

import contextlib
import json
import os
from pathlib import Path

from deploy.project import BUILD, ROOT, store_location
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import ConfigurationInvalid
from model_functions.repository import Repository
from model_functions.store import open_store

#: The keys of a release, committed with the project: their owners may publish to production.
RELEASE_TRUST = ROOT / "deploy" / "trust.json"
LOCAL_KEY = BUILD / "keys" / "local.pem"


def signing_key() -> SigningKey:
    """The key in the file ``MODEL_SIGNING_KEY``, else this laptop's own, made at its first use.

    Raises ConfigurationInvalid for a key that no function would trust.
    """
    path = os.environ.get("MODEL_SIGNING_KEY")
    if not path:
        return _local_key()
    key = SigningKey.read(Path(path))
    if key.trusted().id not in Trust.read(RELEASE_TRUST).keys:
        entry = json.dumps(key.trusted("who this is").entry())
        raise ConfigurationInvalid(
            f"{path} holds a key that deploy/trust.json does not list, so no function would load what it signs. "
            f'Add this to its "keys", and stage the functions again: {entry}'
        )
    return key


def trust_document(*, release: bool) -> str:
    """The trust.json of a staged function: the keys of a release, and on a laptop its own."""
    keys = list(Trust.read(RELEASE_TRUST).keys.values())
    if not release:
        keys.append(_local_key().trusted("this laptop", local=True))
    return json.dumps({"keys": [key.entry() for key in keys]}, indent=2) + "\n"


def open_repository() -> Repository:
    """The repository at ``MODEL_STORE``, else at ``build/store``."""
    keys = [*Trust.read(RELEASE_TRUST).keys.values(), _local_key().trusted(local=True)]
    return Repository(open_store(store_location()), Trust(keys))


def _local_key() -> SigningKey:
    if not LOCAL_KEY.exists():
        with contextlib.suppress(FileExistsError):  # another command was first
            SigningKey.generate().write(LOCAL_KEY)
    return SigningKey.read(LOCAL_KEY)
