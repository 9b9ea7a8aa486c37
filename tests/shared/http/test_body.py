import contextlib
import gzip
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from model_functions.http.body import (
    MAX_JSON_VALUES,
    check_declared,
    check_framing,
    has_body,
    parse_json,
    read_body,
    read_json,
    read_split,
)
from tests.shared.http.requests import request


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", InvalidJson, "The body is empty. Send JSON."),
        (b" \n", InvalidJson, "The body is empty."),
        (b"{bad", InvalidJson, "The body is not JSON: Expecting property name"),
        (b"{'a': 1}", InvalidJson, "The body is not JSON"),
        (b'{"a": 1,}', InvalidJson, "The body is not JSON"),
        (b'{"a": 1} x', InvalidJson, "The body is not JSON: Extra data at line 1, column 10."),
        (b'\xef\xbb\xbf{"a": 1}', InvalidJson, "The body is not JSON"),
        ('{"a": 1}'.encode("utf-16"), InvalidEncoding, "The body is not UTF-8: byte 0 cannot be read."),
        (b'{"a": "\xff"}', InvalidEncoding, "The body is not UTF-8: byte 7 cannot be read."),
        (b'{"a": "\\ud800"}', InvalidEncoding, "half a surrogate pair"),
        (b'{"\\udc00": 1}', InvalidEncoding, "half a surrogate pair"),
        (b'{"a": NaN}', InvalidJson, "The body holds NaN, which JSON does not have."),
        (b'{"a": -Infinity}', InvalidJson, "The body holds -Infinity"),
        (b'{"a": 1e999}', InvalidInput, "The number 1e999 is too large."),
        (b'{"a": ' + b"9" * 50 + b"}", InvalidInput, "has 50 digits; the limit is 40."),
        (b'{"a": 1, "a": 2}', DuplicateKey, 'The body has the key "a" twice in one object.'),
        (b'[{"b": {"a": 1, "a": 2}}]', DuplicateKey, 'The body has the key "a" twice'),
        (b"[" * 65 + b"]" * 65, JsonTooDeep, "The body is nested deeper than 64 levels."),
        (b"[" * 1_000_000, JsonTooDeep, "The body is nested deeper than 64 levels."),
        (b'{"a":' * 100 + b"1" + b"}" * 100, JsonTooDeep, "nested deeper"),
        (b'{"a": "\x00"}', InvalidJson, "Invalid control character"),
    ],
)
def test_what_is_no_json_is_refused_with_a_reason(body: bytes, kind: type[ServingError], message: str) -> None:
    with pytest.raises(kind) as caught:
        parse_json(body)
    assert message in caught.value.message


def test_more_values_than_memory_is_meant_for_are_refused_and_long_strings_are_not() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        parse_json(b"[" + b"1," * MAX_JSON_VALUES + b"1]")
    assert caught.value.message.startswith(f"The body has {MAX_JSON_VALUES + 1} values of JSON; the limit is ")
    text = "a, b" * (MAX_JSON_VALUES // 2)
    assert parse_json(f'["{text}"]'.encode()) == [text]


def test_a_key_that_stands_twice_among_very_many_is_found_at_once() -> None:
    # To look for it among all the keys before each key would take days.
    keys = b",".join(b'"%d":0' % number for number in range(500_000))
    with pytest.raises(DuplicateKey, match='has the key "499999" twice'):
        parse_json(b"{" + keys + b',"499999":0}')


@pytest.mark.parametrize("text", [b"a" * 1_000_000, b"\\n" * 500_000, b"\xc3\xa4" * 500_000])
def test_a_long_text_among_brackets_takes_no_more_memory_than_itself(text: bytes) -> None:
    tracemalloc.start()
    try:
        parse_json(b"[" + b"[]," * 80 + b'"' + text + b'"]')
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_more_brackets_than_values_are_admitted_are_refused_before_they_are_counted() -> None:
    with pytest.raises(PayloadTooLarge, match=f"values of JSON; the limit is {MAX_JSON_VALUES}"):
        parse_json(b"[]" * (MAX_JSON_VALUES + 1))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("size", [0, 1, 5, 9, 10, 11])
def test_a_body_is_split_however_it_comes(size: int, coding: str, whole: bool) -> None:
    body = b"0123456789"
    sent = gzip.compress(body) if coding else body
    stream = io.BytesIO(sent)
    headers = {"content-encoding": coding} if coding else {}
    asked = request(sent, headers, read=stream.read if whole else lambda count: stream.read(min(count, 3)))
    head, rest = read_split(asked, 100, size)
    assert (bytes(head), bytes(rest)) == (body[:size], body[size:])


def test_a_split_body_is_checked_as_any() -> None:
    with pytest.raises(PayloadTooLarge):
        read_split(request(b"0123456789"), 9, 2)
    with pytest.raises(IncompleteBody):
        read_split(request(b"0123", {"content-length": "9"}), 9, 2)
    asked = request(b"0123456789")
    assert read_body(asked, 10) == b"0123456789"
    assert [bytes(part) for part in read_split(asked, 10, 4)] == [b"0123", b"456789"]


def test_brackets_in_strings_are_no_depth() -> None:
    text = {"a": '[{"\\' * 200, "b": [[1]]}
    assert parse_json(json.dumps(text).encode()) == text


def test_sixty_four_levels_are_admitted() -> None:
    parse_json(b"[" * 64 + b"]" * 64)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(json_values)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_an_error_of_ours(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest, InvalidInput):
        parse_json(body)


def test_a_body_of_exactly_the_limit_passes() -> None:
    assert read_body(request(b"x" * 100), 100) == b"x" * 100


def test_a_longer_body_is_refused_and_read_to_its_end() -> None:
    long = request(b"x" * 200_000)
    with pytest.raises(PayloadTooLarge) as caught:
        read_body(long, 100)
    assert caught.value.message == "The body has 200000 bytes; the limit is 100. Send less per request."
    assert long.read(1) == b""


def test_a_body_shorter_than_declared_is_refused() -> None:
    short = request(b"x" * 10, {"content-length": "11"})
    with pytest.raises(IncompleteBody, match="The body ended after 10 of 11 bytes"):
        read_body(short, 100)


def test_a_body_that_breaks_off_is_the_callers_error() -> None:
    def read(count: int) -> bytes:
        raise OSError("connection reset")

    with pytest.raises(InvalidRequest, match="its framing is broken"):
        read_body(request(b"", read=read), 100)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/x-www-form-urlencoded",
        "text/plain",
    ],
)
def test_json_is_json_whatever_the_client_calls_it(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert read_json(request(b'{"a": 1}', headers), 100) == {"a": 1}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            {"content-type": "application/octet-stream"},
            'The body is "application/octet-stream". Send application/json.',
        ),
        ({"content-type": "multipart/form-data; boundary=x"}, 'The body is "multipart/form-data".'),
        ({"content-type": "application/x-python-pickle"}, 'The body is "application/x-python-pickle".'),
        ({"content-type": "application/json; charset=utf-16"}, 'The body\'s charset is "utf-16". Send UTF-8.'),
        ({"content-type": "application/json; Charset=UTF-16"}, 'The body\'s charset is "utf-16". Send UTF-8.'),
        ({"content-encoding": "br"}, 'The body is compressed as "br". Send gzip, deflate, or it as it is.'),
    ],
)
def test_other_media_are_refused(headers: dict[str, str], message: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        read_json(request(b"{}", headers), 100)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("headers", "declared"),
    [
        ({}, 0),
        ({"content-length": "0"}, 0),
        ({"content-length": "100"}, 100),
        ({"content-length": "-1"}, 0),
        ({"content-length": "\u0663"}, 3),
        ({"transfer-encoding": "chunked"}, -1),
    ],
)
def test_the_length_that_is_told_is_known_before_the_body_is_read(headers: dict[str, str], declared: int) -> None:
    asked = request(b"", headers)
    assert check_declared(asked, 100) == declared
    assert has_body(asked) == (declared != 0)


@pytest.mark.parametrize("length", ["101", "9" * 19, "9" * 23, "9" * 5_000])
def test_a_length_beyond_the_limit_is_refused_however_long_it_is(length: str) -> None:
    with pytest.raises(PayloadTooLarge):
        check_declared(request(b"", {"content-length": length}), 100)


def test_what_stands_below_chunks_is_refused() -> None:
    check_framing(request(b"", {"transfer-encoding": " Chunked"}))
    with pytest.raises(NotSupported, match=r'The body comes in the transfer coding "gzip, chunked". Send it chunked'):
        check_framing(request(b"", {"transfer-encoding": "gzip, chunked"}))
