"""Google's hosts as HTTPS clients reach them: through a proxy, by a certificate of our own."""

import contextlib
import datetime
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.fakes.http_server import FakeHandler, FakeHttpServer
from tests.fakes.id_tokens import FakeGoogle

HOST = "www.googleapis.com"


class Sites(Protocol):
    """Who answers for other hosts."""

    def knows(self, host: str) -> bool: ...

    def answer(self, handler: FakeHandler, host: str) -> None: ...


class GoogleByTls(FakeHttpServer):
    """Tunnels to itself, and to nowhere else; ``variables`` have a process find it, and trust it.

    Args:
        folder: for its certificate.
        sites: whose hosts it reaches too.
        names: of those hosts, as a certificate has them.
    """

    def __init__(self, google: FakeGoogle, folder: Path, sites: Sites | None = None, names: Iterable[str] = ()) -> None:
        both = folder / "tls.pem"
        both.write_bytes(_key_and_certificate([HOST, *names]))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(both)

        class Handler(FakeHandler):
            host = ""

            def do_CONNECT(self) -> None:  # noqa: N802 - the base class looks for this name
                host = self.path.removesuffix(":443")
                if host != HOST and not (sites and sites.knows(host)):
                    self.answer(403, f"There is no way to {self.path} here.".encode(), "text/plain")
                    return
                self.send_response(200)
                self.end_headers()
                self.request = context.wrap_socket(self.request, server_side=True)
                self.setup()
                self.host, self.close_connection = host, False

            def serve(self) -> None:
                if sites is not None and self.host not in ("", HOST):
                    sites.answer(self, self.host)
                    return
                known = self.host == HOST and (self.command, self.path) == ("GET", "/oauth2/v1/certs")
                self.answer(200 if known else 404, json.dumps(google.certificates()).encode(), "application/json")

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve  # noqa: N815

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                self.request.close()

        super().__init__(Handler)
        self.variables = {"HTTPS_PROXY": f"http://{self.address}", "SSL_CERT_FILE": str(both)}


def _key_and_certificate(hosts: Iterable[str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return own + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
