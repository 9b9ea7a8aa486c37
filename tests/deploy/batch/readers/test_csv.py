"""CSV: records as Python reads them, wherever a part begins."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.batch.readers import csv as csv_reader
from tests.deploy.batch.readers.reading import parts_of, read, rows_of


def test_quotes_hold_commas_line_ends_and_quotes(tmp_path: Path) -> None:
    found = read("csv", tmp_path, b'id,text\r\n1,"a, b"\r\n2,"two\r\nlines"\r\n3,"say ""hi"""\r\n4,"\n\n"\r\n')
    assert [row.columns["text"] for row in found] == ["a, b", "two\r\nlines", 'say "hi"', "\n\n"]
    assert [row.number for row in found] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfa,b\n1,2\n3,4", b"a,b\r\n1,2\r\n3,4\r\n", b"a,b\n\n1,2\n\n3,4\n\n", b'"a",b\n"1",2\n3,"4"\n'],
    ids=["byte order mark", "CRLF", "empty lines", "quotes"],
)
def test_what_stands_around_rows_is_none(data: bytes, tmp_path: Path) -> None:
    assert [row.columns for row in read("csv", tmp_path, data, 1)] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


@pytest.mark.parametrize("data", [b"", b"a,b\n", b"\n\n"], ids=["empty", "header alone", "line ends alone"])
def test_a_file_without_rows_has_none(data: bytes, tmp_path: Path) -> None:
    assert read("csv", tmp_path, data) == []


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"1", "invalid_row", "The row has 1 fields, and the header 2."),
        (b"1,2,3", "invalid_row", "The row has 3 fields, and the header 2."),
        (b"1,\xe9t\xe9", "invalid_encoding", "The row is not UTF-8: byte 2 cannot be read."),
        (b"1,a\rb", "invalid_row", "The row cannot be read: new-line character seen in unquoted field."),
    ],
    ids=["too few", "too many", "latin-1", "carriage return"],
)
def test_a_bad_row_is_told_of_and_kept(line: bytes, code: str, message: str, tmp_path: Path) -> None:
    good, bad, last = read("csv", tmp_path, b"a,b\n1,2\n" + line + b"\n3,4\n")
    assert (good.error, last.error) == (None, None)
    assert bad.error == (code, message)
    assert (bad.number, bad.raw) == (2, line)
    assert last.columns == {"a": "3", "b": "4"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"a,a", 'has the column "a" twice in its header. Rename one.'),
        (b"a,\xff", "byte 2 of its header cannot be read"),
    ],
    ids=["twice", "no UTF-8"],
)
def test_a_bad_header_is_refused(header: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read("csv", tmp_path, header + b"\n1,2\n")


def test_a_quote_that_nobody_closes_is_refused_before_all_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "ROW_BYTES", 2**20)
    (tmp_path / "rows").write_bytes(b'a,b\n1,"open\n' + b"x,y\n" * 2**19)
    with pytest.raises(
        ValueError, match=r"row of more than 1 MiB, which begins with b'1,\"open\\n'. Is a quote not closed"
    ):
        parts_of("csv", tmp_path / "rows")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.tuples(TEXTS, TEXTS)), rows=st.integers(1, 4), ending=st.sampled_from(["\n", "\r\n"]))
def test_whatever_a_writer_writes_is_read(
    values: list[tuple[str, str]], rows: int, ending: str, tmp_path: Path
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *values])
    (tmp_path / "rows").write_bytes(file.getvalue().encode())
    found = rows_of("csv", parts_of("csv", tmp_path / "rows", rows))
    assert [tuple(row.columns.values()) for row in found] == values
