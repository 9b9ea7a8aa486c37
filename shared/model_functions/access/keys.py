"""Access keys: how a key is spelled, what is kept of it, and the list of all."""

import base64
import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from model_functions.errors import ManifestInvalid

#: Layout of the list. When it changes: add one, and keep a reader for the old number here.
KEYS_VERSION = 1

#: What the list is called in a store, and what its signature is over.
KEYS_NAME = "access/keys.json"
KIND = "key list"

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEY = re.compile(r"mf_[a-z0-9]{1,16}_[a-z0-9]{8}_[A-Za-z0-9_-]{45}")
_ENVIRONMENT = re.compile(r"[a-z0-9]{1,16}")
_PATTERN = re.compile(r"[a-z0-9_*?]{1,48}/[a-z0-9._*?-]{1,64}")


def new_key(environment: str) -> str:
    """``mf_ENVIRONMENT_ID_SECRET``; by its last two characters, who looks for lost keys knows it from other texts."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    body = f"mf_{environment}_{key_id}_{secrets.token_urlsafe(32)}"
    return body + _checksum(body)


def is_key(text: str) -> bool:
    """Whether it is spelled as a key is; the list alone tells whether it is one."""
    return _KEY.fullmatch(text) is not None and _checksum(text[:-2]) == text[-2:]


def key_id(text: str) -> str:
    """The part of a key that names it; of what is no key anything, or nothing."""
    parts = text.split("_", 3)
    return parts[2] if len(parts) == 4 else ""


def key_digest(text: str) -> bytes:
    """What is kept of a key. A slow hash would be for what can be guessed: a key has 256 random bits."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def is_environment(text: str) -> bool:
    return _ENVIRONMENT.fullmatch(text) is not None


def is_scope(text: str) -> bool:
    """Whether it is ``FAMILY/MODEL``, either with ``*`` and ``?`` for what is left open."""
    return _PATTERN.fullmatch(text) is not None


def _checksum(body: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body.encode()).digest())[:2].decode()


@dataclass(frozen=True)
class AccessKey:
    """What is kept of a key: all but the key.

    Args:
        digest: of the whole key, in hexadecimal.
        may: of settings.ACTIONS.
        scopes: the models that it is for, as FAMILY/MODEL.
        not_before: from when on it counts, in seconds since 1970; when it was made, unless its owner said later.
        rate: requests a second, of each instance; None: any number.
        burst: as many at once.
    """

    id: str
    digest: str
    environment: str
    may: tuple[str, ...]
    scopes: tuple[str, ...]
    not_before: int
    expires: int | None = None
    revoked: int | None = None
    rate: float | None = None
    burst: int | None = None
    note: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record | {"may": tuple(record["may"]), "scopes": tuple(record["scopes"])})


@dataclass(frozen=True)
class KeyList:
    """All keys.

    Args:
        serial: one more with every change, so that an old list cannot pass for a new one.
    """

    serial: int
    keys: tuple[AccessKey, ...]

    def find(self, key_id: str) -> AccessKey | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def with_keys(self, *keys: AccessKey) -> "KeyList":
        """The next list, in which each of them is new or takes the place of the one with its id."""
        named = {key.id: key for key in (*self.keys, *keys)}
        return replace(self, serial=self.serial + 1, keys=tuple(named.values()))

    def document(self) -> dict[str, Any]:
        return {"version": KEYS_VERSION, "serial": self.serial, "keys": [asdict(key) for key in self.keys]}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Raises ManifestInvalid."""
        if document.get("version") != KEYS_VERSION:
            raise ManifestInvalid(
                f"The key list has the version {document.get('version')!r}; this code reads {KEYS_VERSION}. "
                "Stage the function again, or write the list with this code: python -m deploy keys"
            )
        try:
            keys = tuple(AccessKey.from_record(record) for record in document["keys"])
            return cls(int(document["serial"]), keys)
        except (TypeError, KeyError, ValueError) as exc:
            raise ManifestInvalid(
                "The key list does not have the fields of one. Write it again: python -m deploy keys"
            ) from exc
