"""ID tokens of the warm-up account, by which private functions are asked.

A person's own would not do: it is for gcloud itself, and Cloud Build has none. Whoever releases may let Google sign one
for that account (roles/iam.serviceAccountOpenIdTokenCreator).
"""

import json
import os
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from deploy.cloud.sdk import Gcloud

#: Google's own, unless gcloud was told of another place.
_API = "https://iamcredentials.googleapis.com/"
_OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS"

#: Seconds that a token is used for: it counts for an hour.
_LIFETIME_S = 3000


class IdTokens:
    """Args: account: whose tokens they are."""

    def __init__(self, gcloud: Gcloud, account: str) -> None:
        self.account = account
        self._gcloud = gcloud
        self._tokens: dict[str, tuple[str, float]] = {}

    def token(self, audience: str) -> str:
        """A token that counts for this URL. Raises ValueError with the role that is missing."""
        known, made = self._tokens.get(audience, ("", 0.0))
        if not known or time.monotonic() - made > _LIFETIME_S:
            known = self._made(audience)
            self._tokens[audience] = (known, time.monotonic())
        return known

    def _made(self, audience: str) -> str:
        place = f"{os.environ.get(_OVERRIDE) or _API}v1/projects/-/serviceAccounts/{self.account}:generateIdToken"
        if urlsplit(place).scheme not in ("https", "http"):
            raise ValueError(f"{_OVERRIDE} is {os.environ[_OVERRIDE]}, which is no URL. Unset it.")
        headers = {"Authorization": f"Bearer {self._gcloud.access_token()}", "Content-Type": "application/json"}
        body = json.dumps({"audience": audience, "includeEmail": True}).encode()
        try:
            request = urllib.request.Request(place, body, headers)  # noqa: S310 - it is http, as was looked at
            # An opener of its own: urlopen's keeps to the proxy that there was when somebody used it first.
            with urllib.request.build_opener().open(request, timeout=60) as answer:
                return str(json.load(answer)["token"])
        except urllib.error.HTTPError as exc:
            raise ValueError(
                f"Google signs no ID token for {self.account} (status {exc.code}). Grant yourself "
                "roles/iam.serviceAccountOpenIdTokenCreator on it, as bootstrap grants the deployer."
            ) from exc
        except OSError as exc:
            raise ValueError(f"{urlsplit(place).netloc} cannot be reached: {exc}. Run the same command again.") from exc
