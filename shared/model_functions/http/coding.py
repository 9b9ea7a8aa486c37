"""Decompresses requests, and never to more than one may have; compresses answers for callers who ask for it."""

import zlib

from model_functions.errors import InvalidEncoding, PayloadTooLarge, UnsupportedMediaType
from model_functions.http.message import Response

#: What zlib calls each coding; ``deflate`` is zlib's own form, which some send without its header.
_FORMS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def decompressed(body: bytes, coding: str, limit: int) -> bytes:
    """Raises UnsupportedMediaType, InvalidEncoding for a body that is no such, PayloadTooLarge."""
    form = _FORMS.get(coding)
    if form is None:
        raise UnsupportedMediaType(f'The body is compressed as "{coding[:20]}". Send gzip, deflate, or it as it is.')
    if coding == "deflate" and not _has_header(body):
        form = -zlib.MAX_WBITS
    decompressor = zlib.decompressobj(form)
    try:
        found = decompressor.decompress(body, limit + 1)
    except zlib.error as exc:
        reason = str(exc).rpartition(": ")[2]
        raise InvalidEncoding(f"The body cannot be decompressed as {coding}: {reason}. Send it again.") from exc
    if len(found) > limit:
        raise PayloadTooLarge(f"The body has more than {limit} bytes decompressed, the limit. Send less per request.")
    if not decompressor.eof or decompressor.unused_data:
        what = "it ends too early" if not decompressor.eof else "more stands behind its end"
        raise InvalidEncoding(f"The body cannot be decompressed as {coding}: {what}. Send it again.")
    return found


def asked_coding(accept: str) -> str:
    """The coding of an ``Accept-Encoding`` that names a single one; "" for any other.

    HTTP libraries name all that they could unpack, whoever uses them: that is no wish, and would cost a large answer
    ten times what it takes otherwise.
    """
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return names[0] if len(names) == 1 and names[0] in ("gzip", "deflate") else ""


def compressed(response: Response, coding: str) -> Response:
    """The answer in the coding; as it is where there is none."""
    if coding:
        compressor = zlib.compressobj(1, zlib.DEFLATED, _FORMS[coding])
        response.body = compressor.compress(response.body) + compressor.flush()
        response.headers |= {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
    return response


def _has_header(body: bytes) -> bool:
    """Whether it begins as zlib's form does (RFC 1950, 2.2)."""
    return len(body) >= 2 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
