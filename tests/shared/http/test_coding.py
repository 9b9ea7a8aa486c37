import gzip
import zlib

import pytest

from model_functions.errors import InvalidEncoding, PayloadTooLarge
from model_functions.http.body import read_json
from model_functions.http.coding import decompressed
from tests.shared.http.requests import request

BODY = b'{"data": [1, 2, 3]}'


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("identity", BODY),
    ],
    ids=["gzip", "x-gzip", "deflate", "raw deflate", "identity"],
)
def test_a_compressed_body_is_read(coding: str, body: bytes) -> None:
    asked = request(body, {"content-encoding": coding})
    assert read_json(asked, 100) == {"data": [1, 2, 3]}
    assert asked.raw == body


def test_it_is_never_decompressed_to_more_than_a_body_may_have() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(PayloadTooLarge, match="more than 1000 bytes decompressed"):
        decompressed(bomb, "gzip", 1000)
    assert len(decompressed(bomb, "gzip", 10_000_000)) == 10_000_000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"plain", "incorrect header check"),
        (gzip.compress(BODY)[:-6], "it ends too early"),
        (b"", "it ends too early"),
        (gzip.compress(BODY) + b"x", "more stands behind its end"),
        (gzip.compress(BODY)[:-8] + bytes(8), "incorrect data check"),
    ],
    ids=["plain", "cut", "empty", "longer", "changed"],
)
def test_what_is_no_compressed_body_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidEncoding, match=message):
        decompressed(body, "gzip", 1000)
