"""Parquet: rows of any row group, whatever their columns hold."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.batch.readers import reader
from tests.deploy.batch.readers.reading import FILES, parts_of, rows_of


def test_rows_come_from_every_group_in_slices(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": list(range(25))}), tmp_path / "a.parquet", row_group_size=10)
    parts = parts_of("parquet", tmp_path / "a.parquet", 4)
    assert [part.rows for part in parts] == [4, 4, 2, 4, 4, 2, 4, 1]
    found = rows_of("parquet", parts)
    assert [row.columns["n"] for row in found] == list(range(25))
    assert [row.number for row in found] == list(range(1, 26))


@pytest.mark.parametrize("order", [1, -1, 3], ids=["forwards", "backwards", "jumping"])
def test_a_part_is_the_same_whatever_was_read_before(order: int, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": list(range(5000))}), tmp_path / "a.parquet", row_group_size=3000)
    parts = parts_of("parquet", tmp_path / "a.parquet", 700)
    for part in parts[::order]:
        numbers = [row.columns["n"] for row in reader("parquet").rows(FILES, part)]
        assert numbers == list(range(part.first - 1, part.first - 1 + part.rows))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"a": [{"b": None}, {"b": 1}]}], {"a": [{"b": None}, {"b": 1}]}),
        ([[[1.5], []]], [[1.5], []]),
        ([float("nan")], None),
        ([float("inf")], "inf"),
        ([datetime(2026, 1, 31, 12, tzinfo=UTC)], "2026-01-31T12:00:00+00:00"),
        ([date(2026, 1, 31)], "2026-01-31"),
        ([timedelta(seconds=1.5)], 1.5),
        ([Decimal("1.50")], 1.5),
        ([Decimal("12345678901234567890")], 12345678901234567890),
        ([b"\x89PNG"], b"\x89PNG"),
        ([None], None),
    ],
    ids=["struct", "lists", "NaN", "infinity", "moment", "day", "duration", "decimal", "large", "bytes", "null"],
)
def test_values_become_what_json_has(values: list[Any], expected: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"value": values}), tmp_path / "a.parquet")
    (row,) = rows_of("parquet", parts_of("parquet", tmp_path / "a.parquet"))
    assert row.columns == {"value": expected}


@pytest.mark.parametrize("data", [b"", b"PAR1", b"id,text\n1,x\n" * 100], ids=["empty", "cut", "CSV"])
def test_what_is_no_parquet_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.parquet is no Parquet file: "):
        parts_of("parquet", tmp_path / "a.parquet")


def test_a_table_without_rows_has_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert parts_of("parquet", tmp_path / "a.parquet") == []
