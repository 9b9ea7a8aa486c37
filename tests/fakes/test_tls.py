"""Google's certificates by HTTPS, as a function asks for them."""

from pathlib import Path

import pytest

from model_functions.access.tokens import CERTIFICATES_HOST, read_certificates
from tests.fakes.id_tokens import FakeGoogle
from tests.fakes.tls import GoogleByTls


def test_certificates_are_had_through_the_proxy_and_no_other_host_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = FakeGoogle()
    with google, GoogleByTls(google, tmp_path) as fake:
        for name, value in fake.variables.items():
            monkeypatch.setenv(name, value)
        assert list(read_certificates(CERTIFICATES_HOST)) == ["first"]
        with pytest.raises(OSError, match="403"):
            read_certificates("https://storage.googleapis.com")
