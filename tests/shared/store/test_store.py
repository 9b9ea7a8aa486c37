"""What a folder and a bucket promise alike."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_functions.errors import ConfigurationInvalid, Conflict, DigestMismatch, ObjectNotFound
from model_functions.store import NEW, Store, Stored, open_store
from tests.shared.store.reading import read_into

RACERS = 20


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    request.getfixturevalue("fake_bucket")
    return open_store("gs://models/some/prefix/")


def test_read_gives_what_was_written_and_its_generation(store: Store) -> None:
    generation = store.write("a/b.json", b"{}", generation=NEW)
    assert store.read("a/b.json") == Stored(b"{}", generation)
    assert generation > 0


@pytest.mark.parametrize("data", [b"", b"\r\n\x00", os.urandom(9 * 1024 * 1024)], ids=["empty", "binary", "large"])
def test_bytes_come_back_unchanged(store: Store, data: bytes) -> None:
    told: list[int] = []
    store.write("x", data, generation=NEW, on_progress=told.append)
    assert store.read("x").data == data
    assert sum(told) == len(data)


def test_missing_objects(store: Store) -> None:
    with pytest.raises(ObjectNotFound, match=r"^The store has no a/x\.json\.$"):
        store.read("a/x.json")
    with pytest.raises(ObjectNotFound, match=r"^The store has no x\.$"):
        read_into(store, "x", memoryview(bytearray(1)))
    assert list(store.list()) == []


@pytest.mark.parametrize(("offset", "size"), [(0, 10), (0, 4), (3, 4), (9, 1), (5, 0)])
def test_read_into_fills_the_buffer_from_the_offset(store: Store, offset: int, size: int) -> None:
    store.write("x", b"0123456789", generation=NEW)
    whole = bytearray(b"-" * (size + 2))
    read_into(store, "x", memoryview(whole)[1:-1], offset)
    assert whole == b"-" + b"0123456789"[offset : offset + size] + b"-"


@pytest.mark.parametrize(("offset", "size", "end"), [(0, 11, 10), (8, 3, 10), (10, 1, 10)])
def test_read_into_refuses_a_short_object(store: Store, offset: int, size: int, end: int) -> None:
    store.write("x", b"0123456789", generation=NEW)
    with pytest.raises(DigestMismatch, match=rf"^x ends after {end} bytes\. Publish the model again\.$"):
        read_into(store, "x", memoryview(bytearray(size)), offset)


def test_create_only_once(store: Store) -> None:
    store.write("x", b"1", generation=NEW)
    with pytest.raises(Conflict, match=r"^x has been written by somebody else meanwhile"):
        store.write("x", b"2", generation=NEW)
    assert store.read("x").data == b"1"


def test_the_same_bytes_conflict_too(store: Store) -> None:
    store.write("x", b"1", generation=NEW)
    with pytest.raises(Conflict):
        store.write("x", b"1", generation=NEW)


def test_replace_only_the_generation_that_was_read(store: Store) -> None:
    first = store.write("x", b"1", generation=NEW)
    second = store.write("x", b"2", generation=first)
    assert second > first
    for stale in (first, NEW, second + 1):
        with pytest.raises(Conflict):
            store.write("x", b"3", generation=stale)
    assert store.read("x") == Stored(b"2", second)


def test_replacing_what_does_not_exist_is_a_conflict(store: Store) -> None:
    with pytest.raises(Conflict):
        store.write("x", b"1", generation=12345)
    assert list(store.list()) == []


def race(write: Callable[[int], int]) -> list[int]:
    """The numbers of those who won."""

    def attempt(number: int) -> int | None:
        try:
            write(number)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(RACERS) as pool:
        return [number for number in pool.map(attempt, range(RACERS)) if number is not None]


def test_of_many_who_create_one_wins(store: Store) -> None:
    (winner,) = race(lambda number: store.write("a/x", str(number).encode(), generation=NEW))
    assert store.read("a/x").data == str(winner).encode()


def test_of_many_who_replace_one_wins(store: Store) -> None:
    first = store.write("a/x", b"first", generation=NEW)
    (winner,) = race(lambda number: store.write("a/x", str(number).encode(), generation=first))
    assert store.read("a/x").data == str(winner).encode()


def test_many_read_at_once(store: Store) -> None:
    data = os.urandom(RACERS * 50_000)
    store.write("x", data, generation=NEW)
    buffer = bytearray(len(data))

    def part(number: int) -> None:
        start = number * 50_000
        read_into(store, "x", memoryview(buffer)[start : start + 50_000], start)

    with ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(part, range(RACERS)))
    assert buffer == data


def test_list_is_sorted_and_by_prefix(store: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    names = ["a.json", "a/1", "a/10", "a/2", "ab/x", "b"]
    for name in reversed(names):
        store.write(name, b"", generation=NEW)
    assert list(store.list()) == names
    assert list(store.list("a/")) == ["a/1", "a/10", "a/2"]
    assert list(store.list("a/1")) == ["a/1", "a/10"]
    assert list(store.list("a")) == names[:-1]
    assert list(store.list("none/")) == []
    assert list(store.list("../")) == []


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "..", "", "a/../.."])
def test_names_that_leave_the_store_are_refused(store: Store, name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("secret")
    with pytest.raises(ObjectNotFound):
        store.read(name)
    with pytest.raises(ObjectNotFound):
        read_into(store, name, memoryview(bytearray(1)))
    with pytest.raises(ObjectNotFound):
        store.write(name, b"", generation=NEW)


@pytest.mark.parametrize(
    "location", ["gs://", "gs:///x", "gs://M", "gs://Models", "gs://models//x", "gs://models/../x", "s3://models"]
)
def test_locations_that_name_no_store(location: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        open_store(location)
    assert f'"{location}"' in caught.value.message
    assert "Set MODEL_STORE to gs://BUCKET[/PREFIX]" in caught.value.message
