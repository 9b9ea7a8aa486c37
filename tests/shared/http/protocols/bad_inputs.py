"""Requests that must be refused, and by which code: the corpus that every protocol is asked.

The numbers are those of the list that it comes from. A code of None: it may be answered, or refused as
invalid_input, and nothing else.
"""

import base64
import gzip
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.tiny_models import picture

INVALID = "invalid_input"
JSON = "application/json"


@dataclass(frozen=True)
class Raw:
    """A body as it stands, at the path of a prediction."""

    id: str
    body: bytes
    code: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """Data and parameters, as each protocol puts them."""

    id: str
    data: Any = "hello world"
    code: str | None = INVALID
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


GOOD = b'{"a": 1}'
_DIGITS = b"9" * 4_301

#: Media types and codings, framing, encodings, the syntax of JSON.
BODIES = [
    Raw("C015 one byte over the limit", b" " * (32 * 1024 * 1024 + 1), "payload_too_large"),
    Raw("C055 charset latin-1", GOOD, "unsupported_media_type", {"content-type": f"{JSON}; charset=latin-1"}),
    Raw("C055 charset utf-16", GOOD, "unsupported_media_type", {"content-type": f"{JSON}; charset=utf-16"}),
    Raw("C059 brotli", GOOD, "unsupported_media_type", {"content-encoding": "br"}),
    Raw("C059 gzip twice", GOOD, "unsupported_media_type", {"content-encoding": "gzip, gzip"}),
    Raw("C059 gzip that is none", GOOD, "invalid_encoding", {"content-encoding": "gzip"}),
    Raw("C059 gzip cut off", gzip.compress(GOOD)[:-6], "invalid_encoding", {"content-encoding": "gzip"}),
    Raw(
        "C059 gzip of more than the limit",
        gzip.compress(bytes(33 * 1024 * 1024)),
        "payload_too_large",
        {"content-encoding": "gzip"},
    ),
    Raw("C011 less than was promised", GOOD, "incomplete_body", {"content-length": "20"}),
    Raw("C062 nothing but space", b" \n\t ", "invalid_json"),
    Raw("C063 an open brace", b"{bad", "invalid_json"),
    Raw("C063 single quotes", b"{'a': 1}", "invalid_json"),
    Raw("C063 a comment", b'{"a": 1} // one', "invalid_json"),
    Raw("C063 a trailing comma", b'{"a": 1,}', "invalid_json"),
    Raw("C063 cut off", b'{"a":1', "invalid_json"),
    Raw("C065 a byte order mark", b'\xef\xbb\xbf{"a": 1}', "invalid_json"),
    Raw("C066 UTF-16", '{"a": 1}'.encode("utf-16"), "invalid_encoding"),
    Raw("C066 UTF-32", '{"a": 1}'.encode("utf-32"), "invalid_encoding"),
    Raw("C067 no UTF-8", b'{"a": "\xff"}', "invalid_encoding"),
    Raw("C067 overlong", b'{"a": "\xc0\xaf"}', "invalid_encoding"),
    Raw("C067 a raw NUL", b'{"a": "\x00"}', "invalid_json"),
    Raw("C070 1e999", b'{"a": 1e999}', INVALID),
    Raw("C070 -1e999", b'{"a": -1e999}', INVALID),
    Raw("C071 an integer of 4,301 digits", b'{"a": ' + _DIGITS + b"}", INVALID),
    Raw("C071 an integer of 41 digits", b'{"a": ' + _DIGITS[:41] + b"}", INVALID),
    Raw("C073 half a surrogate pair", b'{"a": "\\ud800"}', "invalid_encoding"),
    Raw("C073 a reversed pair", b'{"a": "\\udc00\\ud800"}', "invalid_encoding"),
    Raw("C076 nested deeper than 64", b'{"a":' * 65 + b"1" + b"}" * 65, "json_too_deep"),
    Raw("C076 a million brackets", b'{"a": ' + b"[" * 1_000_000, "json_too_deep"),
    Raw("C076 a key twice", b'{"a": 1, "a": 2}', "duplicate_key"),
    Raw("C076 a key twice, deeper", b'{"a": [{"b": 1, "b": 2}]}', "duplicate_key"),
    Raw("C078 an empty object", b"{}", INVALID),
    Raw("C079 __proto__", b'{"__proto__": {"a": 1}}', INVALID),
    Raw("C079 __class__", b'{"__class__": "x"}', INVALID),
    Raw("C079 constructor", b'{"constructor": 1}', INVALID),
]

#: Of JSON that has no NaN; where a protocol has it, they are no data either.
NOT_FINITE = [
    Raw(f"C069 {name}", f'{{"a": {name}}}'.encode(), "invalid_json") for name in ("NaN", "Infinity", "-Infinity")
]
#: Where the whole body is the data, it is data that the model does not take.
NO_OBJECTS = [Raw(f"C077 {value!r} alone", value, INVALID) for value in (b"null", b"true", b"1", b"[]")]

_LONG = 100_001

#: For a model that writes: data, parameters and headers that are wrong wherever they stand.
TEXTS = [
    Asked("C081 an empty text", ""),
    Asked("C081 one character over the limit", "a" * _LONG),
    Asked("C082 an object", {"a": 1}),
    Asked("C082 a text among lists", [["hello"], 5]),
    Asked("C083 max_new_tokens 0", parameters={"max_new_tokens": 0}),
    Asked("C083 max_new_tokens -1", parameters={"max_new_tokens": -1}),
    Asked("C083 max_new_tokens 1e9", parameters={"max_new_tokens": 1e9}),
    Asked("C083 max_new_tokens 2^63", parameters={"max_new_tokens": 2**63}),
    Asked("C083 max_new_tokens 1.5", parameters={"max_new_tokens": 1.5}),
    Asked("C083 max_new_tokens true", parameters={"max_new_tokens": True}),
    Asked("C083 max_new_tokens in a list", parameters={"max_new_tokens": [1]}),
    Asked("C085 more together than a request may", parameters={"num_beams": 8, "num_return_sequences": 9}),
    Asked("C086 a seed in words", parameters={"seed": "few"}),
    Asked("C087 a parameter of another task", parameters={"aggregation_strategy": "none"}),
    Asked("C087 a parameter of nobody", parameters={"__proto__": 1}),
    Asked("C091 a deadline of 0", headers={"x-request-timeout-ms": "0"}),
    Asked("C091 a negative deadline", headers={"x-request-timeout-ms": "-1"}),
    Asked("C091 a deadline in words", headers={"x-request-timeout-ms": "abc"}),
    Asked("C091 a deadline of 30 years", headers={"x-request-timeout-ms": str(10**12)}),
    Asked("C098 emoji, flags, right to left", "👩‍👩‍👧 🇩🇪 \u202e\u2066", None),
    Asked("C101 a letter with many marks", "a" + "\u0301" * 40, None),
    Asked("C102 what is no character", "\ufffe\uffff\U000f0000\U000e0fff", None),
    Asked("C103 a forged line of a log", 'x\r\n{"severity": "ERROR"}\x1b[31m\u2028', None),
    Asked("C105 markup", "<script>alert(1)</script>", None),
    Asked("C106 nothing that is seen", "\u200b\u200d\ufeff", None),
    Asked("C106 nothing but control characters", "\x01\x02\x07", None),
]

#: Names of models that are none, as they would stand in a path.
NAMES = [
    *("..", ".", "%2e%2e", "..%5c..%5cx", "a\\b", "model..", "-x", "_x", "x" * 65, "x" * 300, "Tiny_Writer"),
    *("gs:", "${jndi}", "{{7*7}}", "$(id)", "; rm", "toy#gen=1", "toy?alt=media", "a\x00b", "тест", "<b>"),
    *("__proto__", "constructor", "tiny_writer ", " tiny_writer", "tiny_writer\n"),
]

#: Behind a model's place, or instead of it: paths that nothing answers.
PATHS = ["/../../etc/passwd", "//evil.example", "/%2e%2e/x", "/x/y/z/w"]

#: Methods that no prediction has.
METHODS = ["TRACE", "CONNECT", "BREW", "DELETE", "PATCH"]


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    packed = b"IDAT" + zlib.compress(b"\0" * 100)
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, packed)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


#: For a model that sees: files in base64.
_FILES = {
    "C109 one byte": b"x",
    "C109 a text": b"hello",
    "C110 a signature alone": b"\x89PNG\r\n\x1a\n",
    "C111 a tenth of a JPEG": picture(kind="JPEG")[:60],
    "C111 nearly all of a JPEG": picture(kind="JPEG")[:-40],
    "C113 no pixels": _png(0, 0),
    "C114 a bomb of 13,300 × 13,300": _png(13_300, 13_300),
    "C119 an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "C119 a TIFF": b"II*\0" + bytes(40),
    "C119 a PDF": b"%PDF-1.7\n",
}
IMAGES = [
    *(Asked(name, base64.b64encode(file).decode()) for name, file in _FILES.items()),
    Asked("C122 no base64", "grandma.png"),
    Asked("C122 base64 cut off", base64.b64encode(picture()).decode()[:-3]),
    Asked("C122 an address", "https://example.com/cat.png"),
]
