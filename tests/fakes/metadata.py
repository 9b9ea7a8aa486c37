"""A metadata server that gives ID tokens and access tokens, as an instance on Google Cloud finds one."""

import base64
import json
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http_server import FakeHandler, FakeHttpServer


class FakeMetadataServer(FakeHttpServer):
    """Answers on ``host``, for the variable ``GCE_METADATA_HOST``; keeps the audiences it was asked for.

    Args:
        id_token: makes an ID token for an audience, where its signature is looked at.
        email: of the instance's service account.
    """

    def __init__(
        self,
        lifetime_s: int = 3600,
        access_token: str = "",
        id_token: Callable[[str], str] | None = None,
        *,
        email: str = "gateway@project.iam.gserviceaccount.com",
        project: str = "project",
    ) -> None:
        self.audiences: list[str] = []
        fake = self

        class Handler(FakeHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class looks for this name
                url = urlsplit(self.path)
                if self.headers.get("Metadata-Flavor") != "Google":
                    return self._answer(403, "Missing Metadata-Flavor:Google header.")
                if url.path == "/computeMetadata/v1/instance/service-accounts/default/identity":
                    [audience] = parse_qs(url.query)["audience"]
                    fake.audiences.append(audience)
                    return self._answer(200, id_token(audience) if id_token else _token(audience, lifetime_s))
                if url.path == "/computeMetadata/v1/instance/service-accounts/default/token":
                    token = {"access_token": access_token, "expires_in": lifetime_s, "token_type": "Bearer"}
                    return self._answer(200, json.dumps(token), "application/json")
                if url.path == "/computeMetadata/v1/project/project-id":
                    return self._answer(200, project)
                if url.path in ("/", "/computeMetadata/v1/instance/service-accounts/default/"):
                    account = {"email": email, "scopes": [], "aliases": ["default"]}
                    return self._answer(200, json.dumps(account), "application/json")
                return self._answer(404, "not found")

            def _answer(self, status: int, text: str, content_type: str = "text/plain") -> None:
                self.answer(status, text.encode(), content_type, Metadata_Flavor="Google")

        super().__init__(Handler)
        self.host = self.address


def _token(audience: str, lifetime_s: int) -> str:
    """A JWT with an empty signature: whoever reads it here looks at its payload."""
    payload = {"aud": audience, "exp": int(time.time()) + lifetime_s, "email_verified": True}
    parts = ({"alg": "RS256", "typ": "JWT"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])
