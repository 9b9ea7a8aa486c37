"""Files that are rows, and text files whose lines are."""

from pathlib import Path

from tests.deploy.batch.readers.reading import parts_of, read, rows_of


def test_each_file_of_a_folder_is_a_row(tmp_path: Path) -> None:
    for name, data in (("b.txt", b"second"), ("a.txt", b"\xef\xbb\xbffirst\n"), ("sub/c.txt", b"")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    parts = parts_of("documents", tmp_path)
    assert [part.rows for part in parts] == [2, 1]
    found = rows_of("documents", parts)
    assert [row.columns["data"] for row in found] == ["first\n", "second", ""]
    assert [row.key for row in found] == [str(tmp_path / name) for name in ("a.txt", "b.txt", "sub/c.txt")]


def test_a_document_that_is_no_text_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    (row,) = rows_of("documents", parts_of("documents", tmp_path))
    assert row.error == ("invalid_encoding", "The file is not UTF-8: byte 2 cannot be read.")
    assert row.raw == b"ab\xff"


def test_an_image_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (row,) = rows_of("images", parts_of("images", tmp_path))
    assert row.columns == {"data": b"\x89PNG"}
    assert row.number is None


def test_each_line_of_a_text_is_a_row(tmp_path: Path) -> None:
    found = read("lines", tmp_path, b"one \r\n\r\n\xff\nthree")
    assert [row.columns for row in found] == [{"data": "one "}, {}, {"data": "three"}]
    assert found[1].error == ("invalid_encoding", "The line is not UTF-8: byte 0 cannot be read.")
    assert [row.number for row in found] == [1, 3, 4]
