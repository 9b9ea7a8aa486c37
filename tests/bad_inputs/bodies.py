"""Bodies that cannot be read: media types and codings, encodings, the syntax of JSON, forms."""

import gzip
import json
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

from tests.bad_inputs.entries import INVALID, JSON, LIMIT, Raw
from tests.bad_inputs.zeros import deflated, gzipped, zlibbed
from tests.tiny_models import picture

GOOD = b'{"a": 1}'
_DIGITS = b"9" * 4_301
_MEDIA = "unsupported_media_type"
_ENCODING = "invalid_encoding"

#: What a pickle would leave behind if anybody opened it.
MARKER = Path("/tmp/model-functions-unpickled")


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {MARKER}",)


PICKLE = pickle.dumps(_Evil())


def coded(name: str, body: bytes, code: str | None, coding: str = "gzip") -> Raw:
    return Raw(name, body, code, {"content-encoding": coding})


def _raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(body) + made.flush()


def _with_dictionary(body: bytes) -> bytes:
    made = zlib.compressobj(zdict=b'{"a": 1}' * 4)
    return made.compress(body) + made.flush()


def _with_name(body: bytes) -> bytes:
    """gzip with a file's name of 100,000 letters in its header."""
    packed = gzip.compress(body, mtime=0)
    return packed[:3] + b"\x08" + packed[4:10] + b"n" * 100_000 + b"\0" + packed[10:]


_PACKED = gzip.compress(GOOD, mtime=0)

#: Media types and codings.
CODINGS = [
    # In JSON a type that is missing, text/plain and curl's own are taken for JSON: ``curl -d`` would else be refused.
    Raw("C053 a form's type, and JSON in it", GOOD, INVALID, {"content-type": "application/x-www-form-urlencoded"}),
    Raw("C055 charset latin-1", GOOD, _MEDIA, {"content-type": f"{JSON}; charset=latin-1"}),
    Raw("C055 charset utf-16", GOOD, _MEDIA, {"content-type": f"{JSON}; charset=utf-16"}),
    Raw("D100 charset utf-7", b'{"a": "+ADw-"}', _MEDIA, {"content-type": f'{JSON}; charset="utf-7"'}),
    # gzip and deflate are accepted: clients of several protocols send them. What they become is limited.
    coded("C059 gzip", _PACKED, INVALID),
    coded("C059 brotli", GOOD, _MEDIA, "br"),
    coded("C059 gzip twice", GOOD, _MEDIA, "gzip, gzip"),
    coded("C059 gzip that is none", GOOD, _ENCODING),
    coded("C059 gzip cut off", _PACKED[:-6], _ENCODING),
    coded("C059 gzip of more than the limit", gzipped(33 * 1024 * 1024), "payload_too_large"),
    coded("D101 zstd", b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51", _MEDIA, "zstd"),
    coded("D101 compress", GOOD, _MEDIA, "compress"),
    coded("D101 gzip with a weight", _PACKED, _MEDIA, "gzip;q=1"),
    coded("D102 nothing in gzip", b"", _ENCODING),
    coded("D102 gzip of nothing", gzip.compress(b""), "invalid_json"),
    coded("D103 gzip's header alone", _PACKED[:10], _ENCODING),
    coded("D103 gzip with another sum", _PACKED[:-8] + bytes(4) + _PACKED[-4:], _ENCODING),
    coded("D103 gzip with another length", _PACKED[:-4] + b"\xff\xff\xff\x7f", _ENCODING),
    # Two members are one file for gzip, and a body hidden behind another for whoever stops at the first.
    coded("D104 two members of gzip", _PACKED + _PACKED, _ENCODING),
    coded("D104 gzip and more", _PACKED + b"trailing", _ENCODING),
    coded("D105 gzip in gzip", gzip.compress(_PACKED), _ENCODING),
    coded("D106 gzip in gzip of much", gzip.compress(gzipped(300 * 1024 * 1024), 9), _ENCODING),
    coded("D107 gzip with a long name", _with_name(GOOD), INVALID),
    coded("D108 deflate with a header", zlib.compress(GOOD), INVALID, "deflate"),
    coded("D108 deflate without", _raw_deflate(GOOD), INVALID, "deflate"),
    coded("D108 deflate cut off", zlib.compress(GOOD)[:-3], _ENCODING, "deflate"),
    coded("D108 deflate of more than the limit", zlibbed(33 * 1024 * 1024), "payload_too_large", "deflate"),
    coded(
        "D108 deflate without, of more than the limit",
        deflated(33 * 1024 * 1024),
        "payload_too_large",
        "deflate",
    ),
    coded("D109 deflate with a dictionary", _with_dictionary(GOOD), _ENCODING, "deflate"),
    coded("D110 gzip in upper case", _PACKED, INVALID, "GZIP"),
    coded("D111 depth in gzip", gzip.compress(b"[" * 1_000_000), "json_too_deep"),
]

_FORM = "multipart/form-data; boundary="

#: Where a body is JSON and nothing else: ``/predict`` of a family without files.
_PLAIN: dict[str, Any] = {"kinds": ("text", "row", "tensor"), "protocols": ("predict",)}
_FILES: dict[str, Any] = {"kinds": ("image",), "protocols": ("predict",)}


def _parts(count: int, boundary: str = "b", end: str = "--") -> bytes:
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    return (part * count + f"--{boundary}{end}\r\n").encode()


def numpy_file(name: str, dtype: str, shape: str, data: bytes = bytes(8)) -> Raw:
    head = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n" + data
    return Raw(name, body, INVALID, {"content-type": "application/x-npy"}, protocols=("invocations",))


TYPES = [
    Raw("C054 JSON with a charset", GOOD, INVALID, {"content-type": f"{JSON}; charset=utf-8"}),
    Raw("C054 in upper case", GOOD, INVALID, {"content-type": "application/JSON; charset=UTF-8"}),
    Raw("C057 a form", _parts(1), _MEDIA, {"content-type": f"{_FORM}b"}, **_PLAIN),
    Raw("C057 10,000 parts", _parts(10_000), "payload_too_large", {"content-type": f"{_FORM}b"}, **_FILES),
    Raw(
        "C057 a boundary of 80 letters", _parts(1, "b" * 80), INVALID, {"content-type": f"{_FORM}{'b' * 80}"}, **_FILES
    ),
    Raw("C057 no final boundary", _parts(1, end=""), "invalid_request", {"content-type": f"{_FORM}b"}, **_FILES),
    Raw("C058 bytes", PICKLE, _MEDIA, {"content-type": "application/octet-stream"}, **_PLAIN),
    Raw("C058 a pickle", PICKLE, _MEDIA, {"content-type": "application/x-python-pickle"}, protocols=("predict",)),
    Raw("C058 BentoML's", PICKLE, _MEDIA, {"content-type": "application/vnd.bentoml+pickle"}, protocols=("predict",)),
    Raw("C058 a pickle as an image", PICKLE, INVALID, {"content-type": "image/png"}, **_FILES),
    Raw("C058 a pickle as JSON", PICKLE, _ENCODING),
    Raw("C121 a JPEG whose header says PNG", picture(kind="JPEG"), None, {"content-type": "image/png"}, **_FILES),
    Raw("C060 no known type", GOOD, _MEDIA, {"content-type": "application/vnd.x+json"}, protocols=("predict",)),
    Raw(
        "D120 a form without a boundary",
        _parts(1),
        "invalid_request",
        {"content-type": "multipart/form-data"},
        **_FILES,
    ),
    Raw("D120 a form with an empty boundary", _parts(1), "invalid_request", {"content-type": _FORM}, **_FILES),
    Raw(
        "D120 a boundary with a line's end",
        _parts(1),
        "invalid_request",
        {"content-type": f'{_FORM}"a\\\r"'[:-2]},
        **_FILES,
    ),
    Raw(
        "D121 a part without a name",
        b"--b\r\n\r\nx\r\n--b--\r\n",
        "invalid_request",
        {"content-type": f"{_FORM}b"},
        **_FILES,
    ),
    Raw("D122 a megabyte of dashes", b"-" * 1_000_000, "invalid_request", {"content-type": f"{_FORM}b"}, **_FILES),
    # CVE-2024-49767 and its like: a boundary that nearly ends, again and again.
    Raw(
        "D122 a megabyte of half boundaries",
        b"--b\r\n" + b"\r\n--a" * 200_000,
        "invalid_request",
        {"content-type": f"{_FORM}b"},
        **_FILES,
    ),
    Raw(
        "D123 a part's header of a megabyte",
        b"--b\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n\r\n--b--\r\n",
        "invalid_request",
        {"content-type": f"{_FORM}b"},
        **_FILES,
    ),
    Raw(
        "D124 a file called as one above",
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="../../x.png"\r\n\r\nx\r\n--b--\r\n',
        INVALID,
        {"content-type": f"{_FORM}b"},
        **_FILES,
    ),
    numpy_file("D125 numpy's file of objects", "|O", "(1,)", PICKLE),
    numpy_file("D125 numpy's file of 2^60 numbers", "<f8", f"({2**60},)"),
    numpy_file("D125 numpy's file whose shape overflows", "<f8", f"({2**32}, {2**32}, 3)"),
    numpy_file("D125 numpy's file of a negative shape", "<f8", "(-1,)"),
    numpy_file("D125 numpy's file of 8 GB", "<f8", f"({2**30},)"),
    numpy_file("D125 numpy's file of code", "__import__('os').system('id')", "(1,)"),
    numpy_file("D125 numpy's file of a type of nobody", "<z9", "(1,)"),
    Raw("D126 CSV of one quote", b'"', None, {"content-type": "text/csv"}, protocols=("invocations",)),
    Raw(
        "D126 CSV of two million commas",
        b"," * 2_000_000,
        "payload_too_large",
        {"content-type": "text/csv"},
        kinds=("row", "tensor"),
        protocols=("invocations",),
    ),
]


def _value(text: bytes, name: str, code: str | None) -> Raw:
    return Raw(name, b'{"a": ' + text + b"}", code)


#: Framing, encodings, the syntax of JSON.
SYNTAX = [
    Raw("C015 exactly the limit", GOOD + b" " * (LIMIT - len(GOOD)), INVALID),
    Raw("C015 one byte over the limit", b" " * (LIMIT + 1), "payload_too_large"),
    Raw("C062 nothing", b"", "invalid_json", protocols=("predict",)),
    Raw("C062 nothing but space", b" \n\t ", "invalid_json"),
    Raw("C063 an open brace", b"{bad", "invalid_json"),
    Raw("C063 single quotes", b"{'a': 1}", "invalid_json"),
    Raw("C063 a comment", b'{"a": 1} // one', "invalid_json"),
    Raw("C063 a trailing comma", b'{"a": 1,}', "invalid_json"),
    Raw("C063 cut off", b'{"a":1', "invalid_json"),
    Raw("C065 a byte order mark", b'\xef\xbb\xbf{"a": 1}', "invalid_json"),
    Raw("C066 UTF-16", '{"a": 1}'.encode("utf-16"), _ENCODING),
    Raw("C066 UTF-32", '{"a": 1}'.encode("utf-32"), _ENCODING),
    Raw("C067 no UTF-8", b'{"a": "\xff"}', _ENCODING),
    Raw("C067 overlong", b'{"a": "\xc0\xaf"}', _ENCODING),
    Raw("C067 a raw NUL", b'{"a": "\x00"}', "invalid_json"),
    _value(b"1e999", "C070 1e999", INVALID),
    _value(b"-1e999", "C070 -1e999", INVALID),
    _value(b"1e-999", "C070 1e-999", INVALID),
    _value(_DIGITS, "C071 an integer of 4,301 digits", INVALID),
    _value(_DIGITS[:4000], "C071 an integer of 4,000 digits", INVALID),
    _value(_DIGITS[:41], "C071 an integer of 41 digits", INVALID),
    _value(b"9223372036854775808", "C071 2^63", INVALID),
    _value(b'"\\ud800"', "C073 half a surrogate pair", _ENCODING),
    _value(b'"\\udc00\\ud800"', "C073 a reversed pair", _ENCODING),
    _value(b"[" + b",".join([_DIGITS[:4000]] * 5000) + b"]", "C075 19 MB of integers", "payload_too_large"),
    Raw("C076 nested deeper than 64", b'{"a":' * 65 + b"1" + b"}" * 65, "json_too_deep"),
    Raw("C076 a million brackets", b'{"a": ' + b"[" * 1_000_000, "json_too_deep"),
    Raw("C076 a key twice", b'{"a": 1, "a": 2}', "duplicate_key"),
    Raw("C076 a key twice, deeper", b'{"a": [{"b": 1, "b": 2}]}', "duplicate_key"),
    Raw("C078 an empty object", b"{}", INVALID),
    Raw("C079 __proto__", b'{"__proto__": {"a": 1}}', INVALID),
    Raw("C079 __class__", b'{"__class__": "x"}', INVALID),
    Raw("C079 constructor", b'{"constructor": 1}', INVALID),
    Raw("D130 lists and objects in turn", b'[{"a":' * 33 + b"1" + b"}]" * 33, "json_too_deep"),
    Raw("D130 8 MB of brackets", b"[" * LIMIT, "json_too_deep"),
    Raw("D130 quotes that hide brackets", b'{"a": "' + b'\\"[' * 500_000, "invalid_json"),
    Raw("D131 a key twice, spelled otherwise", b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
    Raw("D131 an empty key twice", b'{"": 1, "": 2}', "duplicate_key"),
    Raw(
        "D131 30,000 keys, the last twice",
        json.dumps({str(key): 0 for key in range(30_000)}).encode()[:-1] + b', "29999": 1}',
        "duplicate_key",
    ),
    Raw("D132 a key of a megabyte", b'{"' + b"k" * 1_000_000 + b'": 1}', INVALID),
    Raw("D132 a key with control characters", b'{"\\u0000\\u001b[31m\\r\\n": 1}', INVALID),
    *(
        _value(text, f"D133 {text.decode()}", "invalid_json")
        for text in (
            b"01",
            b"+1",
            b".5",
            b"1.",
            b"0x10",
            b"1_000",
            b"1e",
            b"--1",
            b"nul",
            b"TRUE",
            b"None",
            b"undefined",
            b"1,",
            b"\xd9\xa3",
        )
    ),
    _value(b"0." + b"1" * 1_000_000, "D134 a fraction of a million digits", INVALID),
    _value(b"1e" + b"9" * 100_000, "D134 an exponent of 100,000 digits", INVALID),
    _value(b"1e-" + b"9" * 100_000, "D134 the same below zero", INVALID),
    _value(b"-0", "D134 minus zero", INVALID),
    *(
        _value(b'"' + text + b'"', f"D135 {text!r}", "invalid_json")
        for text in (b"\\x41", b"\\u12", b"\\u+123", b"\\", b"\n", b"\t", b"\\'")
    ),
    _value(b'"\\ud83d\\u0041"', "D136 half a pair before a letter", _ENCODING),
    _value(b'"\xed\xa0\x80"', "D136 half a pair in UTF-8", _ENCODING),
    _value(b'"\xf4\x90\x80\x80"', "D136 beyond Unicode", _ENCODING),
    _value(b'"\xe2\x82"', "D136 a character cut off", _ENCODING),
    Raw("D137 two values", b'{"a": 1} {"a": 2}', "invalid_json"),
    Raw("D137 a value a line", b'{"a": 1}\n{"a": 2}\n', "invalid_json"),
    Raw("D137 NUL behind", b'{"a": 1}\x00', "invalid_json"),
    Raw("D137 JSONP", b'f({"a": 1})', "invalid_json"),
    Raw("D138 XML with an entity", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "invalid_json"),
    Raw("D138 YAML", b"!!python/object/apply:os.system ['id']", "invalid_json"),
    Raw("D138 MessagePack", b"\x81\xa1a\x01", _ENCODING),
    Raw("D138 CBOR", b"\xa1aa\x01", _ENCODING),
    Raw("D139 8 MB of space before", b" " * (LIMIT - len(GOOD)) + GOOD, INVALID),
    Raw("D139 8 MB of quotes", b'"' * LIMIT, "invalid_json"),
    Raw("D139 8 MB of commas", b"[" + b"," * (LIMIT - 1), "invalid_json"),
    Raw("D139 8 MB of escapes", b'["' + b"\\\\" * (LIMIT // 2 - 8), "invalid_json"),
    Raw("D140 an object of 200,000 empty objects", b'{"a": [' + b"{}," * 200_000 + b"{}]}", INVALID),
]

#: All of them.
BODIES = [*SYNTAX, *CODINGS, *TYPES]

#: Of JSON that has no NaN; where a protocol has it, they are no data either.
NOT_FINITE = [
    Raw(f"C069 {name}", f'{{"a": {name}}}'.encode(), "invalid_json") for name in ("NaN", "Infinity", "-Infinity")
]
#: Where the whole body is the data, it is data that the model does not take.
NO_OBJECTS = [Raw(f"C077 {value!r} alone", value, INVALID) for value in (b"null", b"true", b"1", b"[]")]

#: A binary tensor behind JSON: lengths that lie.
_TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}


def binary(name: str, record: dict[str, Any], data: bytes, header: str | None = None, code: str = INVALID) -> Raw:
    """A request of the Open Inference Protocol whose tensor follows its JSON.

    Args:
        header: the length of the JSON; None: the right one.
    """
    head = json.dumps({"inputs": [record]}).encode()
    headers = {"inference-header-content-length": header or str(len(head))}
    headers["content-type"] = "application/octet-stream"
    return Raw(name, head + data, code, headers, protocols=("open_inference",))


def _tensor(**other: Any) -> dict[str, Any]:
    return _TENSOR | other


_TWELVE = struct.pack("<3f", 1, 2, 3)

BINARY = [
    binary("D150 a header's length of 0", _TENSOR, _TWELVE, "0"),
    binary("D150 a negative length", _TENSOR, _TWELVE, "-1", "invalid_request"),
    binary("D150 a length in words", _TENSOR, _TWELVE, "few", "invalid_request"),
    binary("D150 a length beyond the body", _TENSOR, _TWELVE, "99999", "invalid_request"),
    binary("D150 a length of 30 digits", _TENSOR, _TWELVE, "9" * 30, "invalid_request"),
    binary("D150 a length in other digits", _TENSOR, _TWELVE, "\xb2", "invalid_request"),
    binary("D150 a length into the bytes", _TENSOR, _TWELVE, "110", "invalid_encoding"),
    binary("D151 fewer bytes than said", _tensor(parameters={"binary_data_size": 13}), _TWELVE),
    binary("D151 more bytes than said", _tensor(parameters={"binary_data_size": 11}), _TWELVE),
    binary("D151 a negative size", _tensor(parameters={"binary_data_size": -12}), _TWELVE),
    binary("D151 a size of 2^64", _tensor(parameters={"binary_data_size": 2**64}), _TWELVE),
    binary("D151 a size of true", _tensor(parameters={"binary_data_size": True}), b"x"),
    # The product would be 12 bytes, if it were counted in 64 bits.
    binary("D152 a shape that overflows", _tensor(shape=[2**32, 2**32, 3]), _TWELVE),
    binary("D152 a shape of 2^62 times 4", _tensor(shape=[2**62, 4, 3]), _TWELVE),
    binary("D152 a shape of 0 and much", _tensor(shape=[0, 2**63], parameters={"binary_data_size": 0}), b""),
    binary("D152 a negative shape", _tensor(shape=[-1, -3]), _TWELVE),
    binary("D152 a shape of 1,000 places", _tensor(shape=[1] * 1_000), _TWELVE),
    binary("D153 another type of the same size", _tensor(datatype="INT16", shape=[2, 3]), _TWELVE),
    binary("D153 a type of nobody", _tensor(datatype="FP8"), _TWELVE),
    binary("D154 a string longer than there is", _tensor(datatype="BYTES", shape=[1]), b"\xff\xff\xff\xff" + bytes(8)),
    binary(
        "D154 half a string's length", _tensor(datatype="BYTES", shape=[1], parameters={"binary_data_size": 2}), b"\1\0"
    ),
    binary(
        "D154 a million empty strings",
        _tensor(datatype="BYTES", shape=[1], parameters={"binary_data_size": 4_000_000}),
        bytes(4_000_000),
    ),
    binary(
        "D155 shared memory",
        _tensor(parameters={"shared_memory_region": "/dev/shm/x", "shared_memory_byte_size": 12}),
        b"",
    ),
]
