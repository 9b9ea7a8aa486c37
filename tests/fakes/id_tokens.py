"""Google as far as ID tokens go: signs them, and gives the certificates that prove it, over HTTP."""

import base64
import datetime
import json
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.fakes.http_server import FakeHandler, FakeHttpServer

ACCOUNT = "ping@project.iam.gserviceaccount.com"
AUDIENCE = "https://function.example"


class FakeGoogle(FakeHttpServer):
    """Answers on ``host``; keeps how often it was asked for its certificates."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self.add_key("first")
        fake = self

        class Handler(FakeHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class looks for this name
                known = self.path == "/oauth2/v1/certs"
                fake.asked += known
                body = json.dumps(fake.certificates()).encode()
                self.answer(fake.status if known else 404, body, "application/json; charset=UTF-8")

        super().__init__(Handler)
        self.host = f"http://{self.address}"

    def add_key(self, name: str) -> None:
        self._keys[name] = rsa.generate_private_key(65537, 2048)

    def certificates(self) -> dict[str, str]:
        """In PEM, by the names of the keys."""
        return {name: _certificate(key) for name, key in self._keys.items()}

    def token(self, email: str | None = ACCOUNT, audience: str = AUDIENCE, key: str = "first", **claims: Any) -> str:
        """An ID token, as Google signs it; a claim that is None is left out, and so is a header's field."""
        now = int(time.time())
        header = {"alg": "RS256", "kid": claims.pop("kid", key), "typ": "JWT"}
        payload = {
            "aud": audience,
            "azp": "123",
            "email": email,
            "email_verified": True,
            "exp": now + 3600,
            "iat": now,
            "iss": "https://accounts.google.com",
            "sub": "123",
        } | claims
        said = ".".join(_encoded(json.dumps(_given(part)).encode()) for part in (header, payload))
        signature = self._keys[key].sign(said.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{said}.{_encoded(signature)}"


def checked_by_the_platform(token: str) -> str:
    """What Cloud Run makes of a token that it has checked."""
    return f"{token.rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE"


def _given(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=7))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
