"""Who calls: access tokens and ID tokens, and the accounts that they speak for."""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from google.auth import jwt

from tests.fakes.control_plane.routing import ApiError
from tests.fakes.id_tokens import FakeGoogle


@dataclass
class Accounts:
    """The project's service accounts, and the tokens that were given out.

    Args:
        owner: who may do anything.
    """

    project: str
    number: str
    owner: str
    google: FakeGoogle
    by_email: dict[str, dict[str, Any]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    _sets: dict[str, set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.add(f"{self.number}-compute@developer.gserviceaccount.com", "Compute Engine default service account")

    def add(self, email: str, display_name: str = "", **more: Any) -> dict[str, Any]:
        number = str(100000000000000000000 + len(self.by_email))
        self.by_email[email] = {
            "name": f"projects/{self.project}/serviceAccounts/{email}",
            "projectId": self.project,
            "uniqueId": number,
            "oauth2ClientId": number,
            "email": email,
            "displayName": display_name,
            "etag": "MDEwMjE5MjA=",
            **more,
        }
        return self.by_email[email]

    def exists(self, email: str) -> bool:
        # Other projects' accounts, and Google's own, cannot be looked up here.
        return email in self.by_email or not email.endswith(f"@{self.project}.iam.gserviceaccount.com")

    def sets_of(self, principal: str) -> set[str]:
        """The sets of principals that an identity from elsewhere is in, as policies name them."""
        return self._sets.get(principal, set())

    def federate(self, principal: str, sets: set[str]) -> str:
        """The access token of an identity from elsewhere."""
        self._sets[principal] = sets
        return self.access_token(principal)

    def access_token(self, email: str) -> str:
        with self._lock:
            token = next((token for token, account in self._tokens.items() if account == email), "")
            token = token or f"ya29.{secrets.token_urlsafe(24)}"
            self._tokens[token] = email
        return token

    def id_token(self, email: str, audience: str, *, names: bool = True) -> str:
        """With the account's address in it, where it ``names`` it."""
        hidden: dict[str, Any] = {} if names else {"email_verified": None}
        subject = self.by_email.get(email, {}).get("uniqueId", "1")
        return self.google.token(email if names else None, audience, sub=subject, **hidden)

    def caller(self, authorization: str) -> str:
        """The account of an access token. Raises ApiError for one that was not given out here."""
        token = authorization.removeprefix("Bearer ").strip()
        if not token:
            raise ApiError(401, "Request is missing required authentication credential.")
        if token not in self._tokens:
            raise ApiError(401, "Request had invalid authentication credentials.")
        account = self._tokens[token]
        if self.by_email.get(account, {}).get("disabled"):
            raise ApiError(401, f"The service account {account} is disabled.")
        return account

    def claims(self, token: str) -> dict[str, Any] | None:
        """What an ID token says, if Google signed it and it has not ended."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self.google.certificates(), True)
        except (ValueError, TypeError, KeyError):
            return None
        return claims
