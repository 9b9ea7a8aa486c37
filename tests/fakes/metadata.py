"""A metadata server that gives ID tokens and access tokens, as an instance on Google Cloud finds one."""

import base64
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit


class FakeMetadataServer:
    """Answers on ``host``, for the variable ``GCE_METADATA_HOST``; keeps the audiences it was asked for.

    Args:
        id_token: makes an ID token for an audience, where its signature is looked at.
    """

    def __init__(
        self, lifetime_s: int = 3600, access_token: str = "", id_token: Callable[[str], str] | None = None
    ) -> None:
        self.audiences: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
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
                    return self._answer(200, "project")
                if url.path in ("/", "/computeMetadata/v1/instance/service-accounts/default/"):
                    account = {"email": "gateway@project.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]}
                    return self._answer(200, json.dumps(account), "application/json")
                return self._answer(404, "not found")

            def _answer(self, status: int, text: str, content_type: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _token(audience: str, lifetime_s: int) -> str:
    """A JWT with an empty signature: whoever reads it here looks at its payload."""
    payload = {"aud": audience, "exp": int(time.time()) + lifetime_s, "email_verified": True}
    parts = ({"alg": "RS256", "typ": "JWT"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])
