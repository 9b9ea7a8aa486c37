"""JSON Lines: every line once, and a bad one told of alone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.batch import parts as parts_module
from deploy.batch.readers import text_lines
from tests.deploy.batch.readers.reading import parts_of, read, rows_of


def test_each_line_is_a_row_whatever_it_holds(tmp_path: Path) -> None:
    found = read("json_lines", tmp_path, b'{"a": 1}\n[1, 2]\n"text"\n{"b": {"c": null}}\n')
    assert [row.columns for row in found] == [{"a": 1}, {"data": [1, 2]}, {"data": "text"}, {"b": {"c": None}}]
    assert [row.number for row in found] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}\n{"a": 2}',
        b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',
        b'{"a": 1}\r\n\r\n{"a": 2}\r\n',
        b'\n{"a": 1}\n  \n{"a": 2}\n',
    ],
    ids=["no last line end", "byte order mark", "CRLF", "empty lines"],
)
def test_what_stands_around_rows_is_none(data: bytes, tmp_path: Path) -> None:
    assert [row.columns for row in read("json_lines", tmp_path, data, 1)] == [{"a": 1}, {"a": 2}]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert read("json_lines", tmp_path, b"") == []


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            b"{broken",
            "invalid_json",
            "The line is not JSON: Expecting property name enclosed in double quotes at column 2.",
        ),
        (b'{"a": NaN}', "invalid_json", "The line is not JSON: NaN is no number."),
        (b'{"a": 1, "a": 2}', "invalid_json", 'The line is not JSON: it has "a" twice.'),
        (b'{"a": "\xff"}', "invalid_encoding", "The line is not UTF-8: byte 7 cannot be read."),
        (b'{"a": "\\ud800"}', "invalid_encoding", "The line spells half a surrogate pair."),
        (b"[" * 100_000, "json_too_deep", "The line is nested too deeply."),
        ('{"a": 1}'.encode("utf-16"), "invalid_encoding", "The line is not UTF-8: byte 0 cannot be read."),
    ],
    ids=["broken", "NaN", "twice", "no UTF-8", "surrogate", "deep", "UTF-16"],
)
def test_a_bad_line_is_told_of_and_kept(line: bytes, code: str, message: str, tmp_path: Path) -> None:
    good, bad, last = read("json_lines", tmp_path, b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    assert (good.error, last.error) == (None, None)
    assert bad.error == (code, message)
    assert bad.number == 2
    assert bad.raw == line


def test_a_line_without_end_is_refused_before_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "ROW_BYTES", 2**20)
    (tmp_path / "rows").write_bytes(b"1\n" + b"x" * 2**21)
    with pytest.raises(ValueError, match=r"has more than 1 MiB in its line 2. Is it of another form"):
        parts_of("json_lines", tmp_path / "rows")


def test_a_part_ends_where_its_bytes_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "PART_BYTES", 25)
    (tmp_path / "rows").write_bytes(b'"0123456789"\n' * 3)
    assert [part.rows for part in parts_of("json_lines", tmp_path / "rows", 100)] == [1, 1, 1]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.binary(max_size=12)), rows=st.integers(1, 5))
def test_no_byte_is_lost_or_read_twice(lines: list[bytes], rows: int, tmp_path: Path) -> None:
    data = b"\n".join(lines)
    (tmp_path / "rows").write_bytes(data)
    parts = parts_of("json_lines", tmp_path / "rows", rows)
    expected = [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert [row.raw for row in rows_of("json_lines", parts)] == expected
