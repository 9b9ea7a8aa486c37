"""Signed JSON documents: whose signature counts, and proof that nobody else wrote them."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from model_functions.errors import ConfigurationInvalid, ManifestInvalid, SignatureRefused


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value, so that a digest or a signature means the value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True)
class TrustedKey:
    """A public key that may have signed what is loaded.

    Args:
        public_key: 32 bytes, Ed25519.
        local: made on a laptop; refused on Google Cloud.
    """

    public_key: bytes
    note: str = ""
    local: bool = False

    @property
    def id(self) -> str:
        return hashlib.sha256(self.public_key).hexdigest()[:16]

    def entry(self) -> dict[str, Any]:
        """The key as it stands in trust.json."""
        entry: dict[str, Any] = {"public_key": base64.b64encode(self.public_key).decode(), "note": self.note}
        return entry | ({"local": True} if self.local else {})


class Trust:
    """The keys whose signatures count. There is no way to trust none."""

    def __init__(self, keys: list[TrustedKey]) -> None:
        self.keys = {key.id: key for key in keys}

    @classmethod
    def read(cls, path: Path, *, on_google_cloud: bool = False) -> Self:
        """From a trust.json. Raises ConfigurationInvalid, as for a local key on Google Cloud."""
        try:
            entries = json.loads(path.read_bytes())["keys"]
            keys = [TrustedKey(**entry | {"public_key": _decoded(entry["public_key"])}) for entry in entries]
        except FileNotFoundError as exc:
            raise ConfigurationInvalid(
                "The function has no trust.json, which lists who may publish. Stage it again: python -m deploy stage"
            ) from exc
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise ConfigurationInvalid(
                'trust.json cannot be read: it must be {"keys": [{"public_key": BASE64, "note": TEXT}]}.'
            ) from exc
        local = [key.id for key in keys if key.local]
        if on_google_cloud and local:
            raise ConfigurationInvalid(
                f"trust.json lists the local key {local[0]}, which counts on a laptop only. "
                "Stage for release: python -m deploy stage --release"
            )
        return cls(keys)

    def verify(self, kind: str, data: bytes) -> dict[str, Any]:
        """The signed document. Raises ManifestInvalid, SignatureRefused."""
        envelope = _parsed(kind, data)
        key = self.keys.get(envelope["key"])
        if key is None:
            raise SignatureRefused(
                f"The {kind} is signed by the key {envelope['key']}, which this function does not trust. "
                "Publish with a trusted key, or add the key to trust.json and stage the function again."
            )
        try:
            signature = _decoded(envelope["signature"])
            public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
            public_key.verify(signature, signed_bytes(kind, envelope["document"]))
        except (InvalidSignature, ValueError) as exc:
            raise SignatureRefused(
                f"The {kind}'s signature is wrong: it was changed after it was signed. Publish the model again."
            ) from exc
        document: dict[str, Any] = envelope["document"]
        return document


def signing_key_id(kind: str, data: bytes) -> str:
    """Whose signature a document says it bears; only Trust can tell whether it does."""
    return str(_parsed(kind, data)["key"])


def _parsed(kind: str, data: bytes) -> dict[str, Any]:
    try:
        envelope = json.loads(data)
        # One spelling only: no byte of the object is left that the signature does not speak of.
        spelled = canonical(envelope) + b"\n" == data
        fields = {name: type(value) for name, value in envelope.items()}
    except (ValueError, AttributeError, RecursionError) as exc:
        raise ManifestInvalid(f"The {kind} is no JSON document. Publish the model again.") from exc
    if not spelled or fields != {"document": dict, "key": str, "signature": str}:
        raise ManifestInvalid(f"The {kind} is no signed document. Publish the model again.")
    return dict(envelope)


def _decoded(text: str) -> bytes:
    """The bytes of base64, in its one spelling: the last character's spare bits are no place for a change."""
    data = base64.b64decode(text, validate=True)
    if not data or base64.b64encode(data).decode() != text:
        raise ValueError("not base64")
    return data


def signed_bytes(kind: str, document: dict[str, Any]) -> bytes:
    """What a signature is over."""
    return b"model_functions " + kind.encode() + b" v1\0" + canonical(document)
