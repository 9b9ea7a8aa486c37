"""Reads a request's JSON body, and lets nothing else through."""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from model_functions.errors import (
    DuplicateKey,
    IncompleteBody,
    InvalidEncoding,
    InvalidInput,
    InvalidJson,
    InvalidRequest,
    JsonTooDeep,
    NotSupported,
    PayloadTooLarge,
    ServingError,
    UnsupportedMediaType,
)
from model_functions.http.message import Request
from model_functions.http.room import GRAIN, SMALL

MAX_DEPTH = 64
#: Values of JSON, each of which takes some thirty bytes of memory, however few in the text. Strings may be as long as
#: the body.
MAX_JSON_VALUES = 4 * 1024 * 1024
BLOCK = 64 * 1024
# Possessive: to be able to go back, the search would keep a hundred bytes for each character.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

# curl -d calls everything a form, and some clients name no type at all: the body itself must be JSON.
_MEDIA_TYPES = {"", "application/json", "application/x-www-form-urlencoded", "text/plain"}
_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}


def check_declared(request: Request, limit: int) -> int:
    """The length that the caller tells. Refuses a body by it, before any of it is read.

    Returns -1 where there is a body whose length nobody tells. Raises PayloadTooLarge.
    """
    length = declared_length(request)
    if length > limit:
        raise too_large(length, limit)
    return length if length >= 0 or "transfer-encoding" in request.headers else 0


def has_body(request: Request) -> bool:
    return declared_length(request) > 0 or "transfer-encoding" in request.headers


def make_room(request: Request, count: int) -> None:
    """For so many bytes of a body, of which its caller did not say how many there are. Raises Overloaded."""
    if count > request.held and count > SMALL and request.room is not None:
        request.room.take(request, count + GRAIN)


def check_framing(request: Request) -> None:
    """Refuses a body below whose chunks is something else, which no server takes off. Raises NotSupported."""
    coding = request.headers.get("transfer-encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        raise NotSupported(
            f'The body comes in the transfer coding "{coding[:40]}". Send it chunked, or with its length.'
        )


def declared_length(request: Request) -> int:
    """Bytes of the body, as its caller tells; -1 where it does not."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return -1
    # Longer ones are too long for any limit, and for Python's int.
    return int(length) if len(length) < 20 else sys.maxsize


def read_body(request: Request, limit: int) -> bytes:
    """The whole body, decompressed.

    Raises PayloadTooLarge, IncompleteBody, InvalidRequest, UnsupportedMediaType, InvalidEncoding.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return raw_body(request, limit)
    # Imported here: few requests are compressed.
    from model_functions.http.coding import decompressed

    return decompressed(raw_body(request, limit), coding, limit)


def raw_body(request: Request, limit: int) -> bytes:
    """The whole body as it came.

    Raises PayloadTooLarge, IncompleteBody, InvalidRequest. The rest of a body that is refused is read and
    dropped, so that the answer reaches the caller and no memory is held.
    """
    if request.raw is None:
        request.raw = _joined(_raw_blocks(request, limit))
    return request.raw


def read_split(request: Request, limit: int, size: int) -> tuple[memoryview, memoryview]:
    """The first bytes of the body, and the others, which begin where a processor reads numbers best.

    Raises what ``read_body`` does. Where the body is shorter, the others are none.
    """
    is_plain = request.raw is None and request.headers.get("content-encoding", "identity").strip() in ("", "identity")
    blocks = _raw_blocks(request, limit, size) if is_plain else [read_body(request, limit)]
    if len(blocks) == 2 and len(blocks[0]) == size:
        return memoryview(blocks[0]), memoryview(blocks[1])
    whole = memoryview(_joined(blocks))
    return whole[:size], whole[size:]


def _raw_blocks(request: Request, limit: int, first: int = 0) -> list[bytes]:
    """The blocks of the body as it came.

    Args:
        first: bytes of the first of them, if the caller sends as many at once.
    """
    blocks: list[bytes] = []
    count = 0
    declared = declared_length(request)
    # All at once, which copies nothing, if that is not too much.
    size = declared if 0 < declared <= limit else BLOCK
    while count != declared and (block := _block(request, first if count == 0 < first < size else size)):
        count += len(block)
        if count <= limit:
            make_room(request, count)
            blocks.append(block)
        else:
            blocks.clear()
    if count > limit:
        raise too_large(count, limit)
    if count < declared:
        raise IncompleteBody(f"The body ended after {count} of {declared} bytes. Send it again.")
    return blocks


def _joined(blocks: list[bytes]) -> bytes:
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def too_large(count: int, limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body has {count} bytes; the limit is {limit}. Send less per request.")


def broken() -> InvalidRequest:
    return InvalidRequest("The body cannot be read: its framing is broken. Send it again.")


def read_json(request: Request, limit: int, also: Sequence[str] = (), *, constants: bool = False) -> Any:
    """The body as JSON: strict UTF-8, no duplicate keys, no NaN, at most 64 levels deep.

    Args:
        also: other media types that the caller might have meant, for the refusal of a wrong one.
        constants: whether NaN, Infinity and -Infinity are numbers.
    """
    _check_media_type(request, also)
    return parse_json(read_body(request, limit), constants=constants)


def parse_json(body: bytes, *, constants: bool = False) -> Any:
    """Raises InvalidEncoding, InvalidJson and its kinds, InvalidInput for a number that is too large.

    Args:
        constants: as in ``read_json``.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise InvalidEncoding(f"The body is not UTF-8: byte {exc.start} cannot be read. Send UTF-8.") from exc
    if not text.strip():
        raise InvalidJson("The body is empty. Send JSON.")
    _check_depth(text)
    # A value takes two characters at least.
    if len(text) > 2 * MAX_JSON_VALUES and text.count(",") >= MAX_JSON_VALUES:
        raise _too_many(text.count(",") + 1)
    try:
        value = (_LENIENT if constants else _DECODER).decode(text)
        if "\\u" in text:
            # A lone surrogate, spelled \\ud800, is no character: nothing could write it out again.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as exc:
        raise InvalidJson(f"The body is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}.") from exc
    except UnicodeEncodeError as exc:
        raise InvalidEncoding("The body spells half a surrogate pair (\\ud800 to \\udfff). Send both halves.") from exc
    return value


def _block(request: Request, size: int) -> bytes:
    try:
        return request.read(size)
    except ServingError:
        raise
    except Exception as exc:
        raise broken() from exc


def media_type(request: Request) -> str:
    """The body's type without its options; "" when the request names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_media_type(request: Request, also: Sequence[str]) -> None:
    found, _, options = request.headers.get("content-type", "").partition(";")
    if found in _MEDIA_TYPES and not options:
        return
    if media_type(request) not in _MEDIA_TYPES:
        known = " or ".join(["application/json", *also])
        raise UnsupportedMediaType(f'The body is "{found.strip()[:60]}". Send {known}.')
    check_charset(options)


def check_charset(content_type: str) -> None:
    """Raises UnsupportedMediaType where the type, or its options, name another charset than UTF-8."""
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in _CHARSETS:
        raise UnsupportedMediaType(f'The body\'s charset is "{charset[:20]}". Send UTF-8.')


def _check_depth(text: str) -> None:
    # Few brackets cannot nest deep; many are counted, outside of strings, before anything recurses into them.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    brackets = _STRINGS.sub("", text).encode().translate(None, _ALL_BUT_BRACKETS)
    if len(brackets) > 2 * MAX_JSON_VALUES:
        raise _too_many(len(brackets) // 2)
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise JsonTooDeep(f"The body is nested deeper than {MAX_DEPTH} levels. Send flatter JSON.")


def _too_many(count: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The body has {count} values of JSON; the limit is {MAX_JSON_VALUES}. Send fewer per request, or tensors as "
        "bytes (POST /v2/models/MODEL/infer)."
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise DuplicateKey(f'The body has the key "{twice[:60]}" twice in one object. Send it once.')
    return found


def _constant(name: str) -> Any:
    raise InvalidJson(f"The body holds {name}, which JSON does not have. Send a number or null.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidInput("", f"The number {text[:40]} is too large. Send one below 1.8e308.")
    return value


def _integer(text: str) -> int:
    if len(text) > 40:
        raise InvalidInput("", f"The integer {text[:20]}… has {len(text)} digits; the limit is 40.")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer)
_LENIENT = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_integer)
