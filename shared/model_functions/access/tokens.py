"""ID tokens: whose they are, as Google's certificates prove, or Google's front end before they come here."""

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from model_functions.access.identity import LEEWAY_S, Known, forbidden, unauthenticated
from model_functions.access.renewal import Ages, Renewal
from model_functions.settings import ACTIONS
from model_functions.store.connection import Connections

CERTIFICATES_HOST = "https://www.googleapis.com"
CERTIFICATES_PATH = "/oauth2/v1/certs"
CONNECT_S = 2.0
ANSWER_S = 3.0
LARGEST_BYTES = 1024 * 1024
ISSUERS = ("https://accounts.google.com", "accounts.google.com")

#: A certificate is announced days before anything is signed by it.
CERTIFICATES = Ages(renewed=3600.0, waited_for=86_400.0, last_good=86_400.0)
#: Seconds between two readings for a certificate that is not there.
HURRY_S = 60.0

#: What Cloud Run puts in the place of a signature that it has checked.
SIGNATURE_REMOVED = ".SIGNATURE_REMOVED_BY_GOOGLE"

#: Tokens whose claims are remembered, so that each is verified once.
MOST = 1000
MAX_CHARACTERS = 8192

#: What reading a token that somebody made up may raise; google.auth's own are ValueErrors.
_BROKEN = (ValueError, TypeError, AttributeError, KeyError, RecursionError)


class IdTokens:
    """Whose ID tokens count.

    Args:
        accounts: what each may do, by its address; none: whoever Google's front end lets through may do anything.
        audiences: for whom a token may be.
        believed: whether Google's front end has checked every token before it comes here, and removed its signature.
        host: of the certificates; Google's own where none is named.
    """

    def __init__(
        self,
        accounts: Mapping[str, tuple[str, ...]],
        audiences: tuple[str, ...],
        *,
        believed: bool = False,
        host: str | None = None,
    ) -> None:
        self._callers = {account: Known(account, may) for account, may in accounts.items()}
        self._audiences = audiences
        self._believed = believed
        self._certificates: Renewal[dict[str, str]] = Renewal(
            "certificates of Google", lambda _: read_certificates(host or CERTIFICATES_HOST), CERTIFICATES
        )
        self._claims: dict[bytes, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def is_fresh(self, token: str) -> bool:
        """Whether ``caller`` waits for nothing."""
        if self._is_believed(token):
            return True
        return "google.auth.jwt" in sys.modules and self._certificates.is_fresh

    def caller(self, token: str) -> Known:
        """Raises Unauthenticated, Forbidden, AuthUnavailable."""
        try:
            return self._caller(self._read(token))
        except _BROKEN as exc:
            raise unauthenticated() from exc

    def _caller(self, claims: dict[str, Any]) -> Known:
        # Looked at each time: what is remembered may end meanwhile.
        if claims["exp"] + LEEWAY_S < time.time():
            raise unauthenticated()
        account = str(claims["email"]).lower()
        if not self._callers:
            return Known(account, ACTIONS)
        if account not in self._callers:
            raise forbidden()
        return self._callers[account]

    def _is_believed(self, token: str) -> bool:
        return self._believed and token.endswith(SIGNATURE_REMOVED)

    def _read(self, token: str) -> dict[str, Any]:
        """The token's claims, once it is proven that they are Google's. Raises AuthUnavailable, one of _BROKEN."""
        if len(token) > MAX_CHARACTERS:
            raise ValueError("too long")
        if self._is_believed(token):
            return self._believed_claims(token)
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._claims.get(digest)
        if claims is None:
            claims = self._verified(token)
            with self._lock:
                self._claims[digest] = claims
                if len(self._claims) > MOST:
                    del self._claims[next(iter(self._claims))]
        return claims

    def _believed_claims(self, token: str) -> dict[str, Any]:
        claims: dict[str, Any] = _part(token, 1)
        if self._audiences and claims["aud"] not in self._audiences:
            raise ValueError("for somebody else")
        return claims

    def _verified(self, token: str) -> dict[str, Any]:
        if not self._callers:
            # Anybody can have a token for any audience: only an account says something.
            raise ValueError("no account counts")
        certificates = self._certificates.value()
        if _part(token, 0)["kid"] not in certificates:
            self._certificates.hurry(HURRY_S)
        # Imported here: it takes a tenth of a second, and few are asked by tokens.
        from google.auth import jwt

        claims: dict[str, Any] = jwt.decode(token, certificates, True, list(self._audiences), LEEWAY_S)
        if claims["iss"] not in ISSUERS or claims["email_verified"] is not True:
            raise ValueError("not Google's word for the account")
        return claims


def read_certificates(host: str) -> dict[str, str]:
    """In PEM, by their ids. Raises OSError, HTTPException, ValueError."""
    with Connections(host, CONNECT_S, ANSWER_S).get(CERTIFICATES_PATH, {"Accept-Encoding": "identity"}) as response:
        body = response.read(LARGEST_BYTES)
        if response.status != 200:
            raise ValueError(f"{host} answers {response.status}")
    certificates = json.loads(body)
    if not isinstance(certificates, dict) or not certificates:
        raise ValueError(f"{host} gives no certificates")
    return {str(name): str(text) for name, text in certificates.items()}


def _part(token: str, index: int) -> Any:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
