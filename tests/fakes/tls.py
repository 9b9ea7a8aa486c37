"""Google's host of certificates as HTTPS clients reach it: through a proxy, by a certificate of our own."""

import contextlib
import datetime
import json
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.fakes.http_server import FakeHandler, FakeHttpServer
from tests.fakes.id_tokens import FakeGoogle

HOST = "www.googleapis.com"


class GoogleByTls(FakeHttpServer):
    """Tunnels to itself, and to nowhere else; ``variables`` have a process find it, and trust it.

    Args:
        folder: for its certificate.
    """

    def __init__(self, google: FakeGoogle, folder: Path) -> None:
        both = folder / "tls.pem"
        both.write_bytes(_key_and_certificate())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(both)

        class Handler(FakeHandler):
            def do_CONNECT(self) -> None:  # noqa: N802 - the base class looks for this name
                if self.path != f"{HOST}:443":
                    self.answer(403, f"There is no way to {self.path} here.".encode(), "text/plain")
                    return
                self.send_response(200)
                self.end_headers()
                self.request = context.wrap_socket(self.request, server_side=True)
                self.setup()
                self.close_connection = False

            def do_GET(self) -> None:  # noqa: N802
                known = isinstance(self.request, ssl.SSLSocket) and self.path == "/oauth2/v1/certs"
                self.answer(200 if known else 404, json.dumps(google.certificates()).encode(), "application/json")

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                self.request.close()

        super().__init__(Handler)
        self.variables = {"HTTPS_PROXY": f"http://{self.address}", "SSL_CERT_FILE": str(both)}


def _key_and_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return own + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
