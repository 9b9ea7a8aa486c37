"""Access tokens for the bucket: from the metadata server on Google Cloud, from google.auth elsewhere."""

import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from model_functions.errors import ConfigurationInvalid, StoreUnavailable

#: Seconds before its end from which a token is renewed.
EARLY_S = 225
SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"

#: A token and the moment (time.time) of its end.
Token = tuple[str, float]

_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


class AccessTokens:
    """One token for all threads, renewed by one of them when it is about to end.

    Args:
        fetch: gives a token, or raises; None stands for a store that asks for none.
    """

    def __init__(self, fetch: Callable[[], Token] | None) -> None:
        self._fetch = fetch
        self._token: Token = ("", 0.0)
        self._lock = threading.Lock()

    def headers(self) -> dict[str, str]:
        """What a request must carry. Raises StoreUnavailable."""
        if self._fetch is None:
            return {}
        with self._lock:
            if self._token[1] - EARLY_S < time.time():
                self._token = self._fetch()
            return {"Authorization": f"Bearer {self._token[0]}"}

    def refused(self, headers: dict[str, str]) -> bool:
        """Forgets the token that a request with these headers was refused with; whether another may do better."""
        with self._lock:
            if headers.get("Authorization") == f"Bearer {self._token[0]}":
                self._token = ("", 0.0)
        return self._fetch is not None


def access_tokens() -> AccessTokens:
    """As this process finds them. Raises ConfigurationInvalid where there are none."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return AccessTokens(None)
    if os.environ.get("K_SERVICE") and not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        # google.auth would ask the same server, and is five times our own modules' import.
        return AccessTokens(metadata_token)
    return AccessTokens(google_auth_token(_default_credentials()))


def metadata_token() -> Token:
    """The token of the instance's service account. Raises StoreUnavailable."""
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    connection = http.client.HTTPConnection(host, timeout=3)
    try:
        connection.request("GET", _PATH, headers={"Metadata-Flavor": "Google"})
        response = connection.getresponse()
        answer = json.loads(response.read()) if response.status == 200 else {}
        return str(answer["access_token"]), time.time() + float(answer["expires_in"])
    except (OSError, http.client.HTTPException, ValueError, KeyError) as exc:
        raise StoreUnavailable("The metadata server gives no access token. Try again.", retry_after=5) from exc
    finally:
        connection.close()


def google_auth_token(credentials: Any) -> Callable[[], Token]:
    """Tokens of google.auth's credentials."""

    def fetch() -> Token:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        try:
            credentials.refresh(Request())
        except GoogleAuthError as exc:
            raise StoreUnavailable(
                "The store's credentials are not accepted. On a laptop: `gcloud auth application-default login`.",
                retry_after=5,
            ) from exc
        expiry = credentials.expiry
        # google.auth's moments are UTC without saying so.
        ends = time.time() + 600 if expiry is None else expiry.timestamp() - time.timezone
        return credentials.token, ends

    return fetch


def _default_credentials() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=[SCOPE])[0]
    except DefaultCredentialsError as exc:
        raise ConfigurationInvalid(
            "There are no credentials for the store. Run `gcloud auth application-default login`."
        ) from exc
