"""The publisher's private key; what only loads has no use for it, and pays for none of its imports."""

import base64
import tempfile
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from model_functions.artifact.signing import TrustedKey, canonical, signed_bytes
from model_functions.errors import ConfigurationInvalid

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class SigningKey:
    """An Ed25519 key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_key = private_key.public_key().public_bytes(*_RAW)

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a PEM file. Raises ConfigurationInvalid."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as exc:
            raise ConfigurationInvalid(f"{path} holds no unencrypted private key in PEM: {exc}") from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationInvalid(f"{path} holds no Ed25519 key. Make one: openssl genpkey -algorithm ed25519")
        return cls(key)

    def write(self, path: Path) -> None:
        """A new PEM file that only its owner reads. Raises FileExistsError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # Whole or not at all, and never over another key: linking fails where one stands.
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:
            file.write(pem)
            file.flush()
            path.hardlink_to(file.name)

    def trusted(self, note: str = "", *, local: bool = False) -> TrustedKey:
        return TrustedKey(self.public_key, note, local)

    def sign(self, kind: str, document: dict[str, Any]) -> bytes:
        """The document with its signature, as it is stored.

        Args:
            kind: what the document is, so that one can't pass for another.
        """
        signature = self._private_key.sign(signed_bytes(kind, document))
        envelope = {
            "document": document,
            "key": self.trusted().id,
            "signature": base64.b64encode(signature).decode(),
        }
        return canonical(envelope) + b"\n"
