"""Access keys for tests, and lists of them."""

import time
from dataclasses import dataclass, field
from typing import Any

from model_functions.access.keys import KEYS_NAME, KIND, AccessKey, KeyList, key_digest, key_id, new_key
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import ObjectNotFound
from model_functions.store import NEW, Store


def made(*scopes: str, may: tuple[str, ...] = ("predict",), environment: str = "test", **more: Any) -> "MadeKey":
    """A key that counts since a minute ago; for every model where no scope is named."""
    text = new_key(environment)
    fields = {"not_before": int(time.time()) - 60} | more
    digest = key_digest(text).hex()
    return MadeKey(text, AccessKey(key_id(text), digest, environment, may, scopes or ("*/*",), **fields))


@dataclass(frozen=True)
class MadeKey:
    text: str
    record: AccessKey

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.text}


@dataclass
class Writer:
    """Writes lists of keys as the publisher does, one serial after the other."""

    store: Store
    key: SigningKey
    serial: int = field(default=0)

    def write(self, *keys: MadeKey | AccessKey) -> None:
        records = tuple(key.record if isinstance(key, MadeKey) else key for key in keys)
        self.serial += 1
        self.write_bytes(self.key.sign(KIND, KeyList(self.serial, records).document()))

    def write_bytes(self, data: bytes) -> None:
        try:
            generation = self.store.read(KEYS_NAME).generation
        except ObjectNotFound:
            generation = NEW
        self.store.write(KEYS_NAME, data, generation=generation)
