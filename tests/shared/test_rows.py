from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_functions.inputs import TextInput
from model_functions.rows import Batch, Collector, Row, Rows, RowWrapper, in_batches

rows = st.lists(st.builds(Row, st.integers(), st.integers(1, 600), st.sampled_from("ab")), min_size=1, max_size=40)
limits = st.builds(Batch, st.integers(0, 2000), st.integers(1, 16), st.booleans())


@given(rows, limits)
def test_every_row_is_read_once_and_answered_in_its_place(asked: list[Row], batch: Batch) -> None:
    assert in_batches(asked, batch, lambda found: [-one for one in found]) == [-row.features for row in asked]


@given(rows, limits)
def test_a_batch_keeps_to_its_limits(asked: list[Row], batch: Batch) -> None:
    named = [Row(place, row.size, row.kind) for place, row in enumerate(asked)]

    def read(places: list[int]) -> list[int]:
        together = [named[place] for place in places]
        longest = max(row.size for row in together)
        assert len({row.kind for row in together}) == 1
        assert len(together) == 1 or (len(together) <= batch.rows and len(together) * longest <= batch.size)
        return places

    in_batches(named, batch, read)


def test_rows_of_other_lengths_stay_apart_unless_padding_is_cheap() -> None:
    for bucketed, expected in ((True, False), (False, True)):
        collector = Collector(Batch(1000, 10, bucketed), Row("long", 100))
        assert collector.takes(Row("long", 100))
        assert collector.takes(Row("short", 10)) is expected


def test_a_row_larger_than_a_batch_is_read_alone() -> None:
    collector = Collector(Batch(100, 10), Row("x", 300))
    assert collector.takes(Row("x", 300))
    assert collector.full
    assert not collector.takes(Row("y", 300))


class Lengths(RowWrapper):
    family, task = "lengths", "lengths"
    batch = Batch(10, 10)

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> Rows:
        return Rows([Row(item, len(item)) for item in items])

    def forward_rows(self, rows: list[str], parameters: dict[str, Any]) -> list[int]:
        return [len(row) for row in rows]

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        return outputs.outputs


def test_a_wrapper_of_rows_predicts_without_anybody_else() -> None:
    wrapper = Lengths(TextInput())
    assert wrapper.predict("abc") == 3
    assert wrapper.predict(["abc", "a", "abcdefghijklmn"]) == [3, 1, 14]


@pytest.mark.parametrize(("said", "size"), [(None, 10), (64, 64), (0, 10)])
def test_the_publisher_may_say_how_much_is_read_at_once(said: int | None, size: int) -> None:
    wrapper = Lengths(TextInput())
    wrapper.max_batch = said
    assert wrapper.limits == Batch(size, 10)
