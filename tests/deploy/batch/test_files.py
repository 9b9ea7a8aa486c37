"""A job's files: the same promises on a disk and in a bucket."""

from pathlib import Path

import pytest

from deploy.batch.files import FileChanged, Files, Found, files_at
from tests.fakes.bucket import FakeBucket

Place = tuple[Files, str]


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Files, and a folder of them."""
    if request.param == "disk":
        return files_at(str(tmp_path)), str(tmp_path)
    request.getfixturevalue("fake_bucket")
    return files_at("gs://models"), "gs://models/jobs"


def test_what_is_written_is_read(place: Place) -> None:
    files, folder = place
    files.write(f"{folder}/a/b", b"first")
    files.write(f"{folder}/a/b", b"second")
    assert files.read(f"{folder}/a/b") == b"second"
    assert list(files.names(folder)) == [f"{folder}/a/b"]
    files.remove(f"{folder}/a/b")
    files.remove(f"{folder}/a/b")
    assert list(files.names(folder)) == []
    with pytest.raises(FileNotFoundError):
        files.read(f"{folder}/a/b")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "sub/c.csv"]),
        ("[ab].*", ["a.csv", "b.csv"]),
        ("?.txt", ["d.txt"]),
        ("sub", ["sub/c.csv"]),
        ("a.csv", ["a.csv"]),
        ("*.json", []),
    ],
    ids=["star", "stars", "set", "mark", "folder", "name", "none"],
)
def test_a_pattern_means_files(place: Place, pattern: str, expected: list[str]) -> None:
    files, folder = place
    for name in ("a.csv", "b.csv", "sub/c.csv", "d.txt"):
        files.write(f"{folder}/{name}", b"12345")
    found = files.matching(f"{folder}/{pattern}")
    assert [one.name.removeprefix(f"{folder}/") for one in found] == expected
    assert all(one.size == 5 for one in found)


def test_a_file_is_read_from_any_place_on(place: Place) -> None:
    files, folder = place
    files.write(f"{folder}/a", bytes(range(256)))
    (found,) = files.matching(f"{folder}/a")
    with files.open(found) as file:
        file.seek(250)
        assert file.read(3) == bytes([250, 251, 252])
        assert file.readline() == bytes([253, 254, 255])


@pytest.mark.parametrize("change", ["others", "gone"])
def test_a_file_that_changed_is_not_read(place: Place, change: str) -> None:
    files, folder = place
    name = f"{folder}/a"
    files.write(name, b"those")
    (found,) = files.matching(name)
    files.remove(name)
    if change == "others":
        files.write(name, b"others")
    with pytest.raises(
        FileChanged, match=r"/a has changed since the job began, or is gone: .* begin anew with --again"
    ):
        files.open(found)


def test_a_place_that_takes_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(OSError, match=r"a/b cannot be written: File exists. Make room for it, or choose another"):
        files_at(str(tmp_path)).write(f"{tmp_path}/a/b", b"")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    files = files_at(str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("kept")
    with pytest.raises(OSError, match="a cannot be written: Is a directory"):
        files.write(f"{tmp_path}/a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_bucket_denies_is_named(fake_bucket: FakeBucket) -> None:
    fake_bucket.fault(status=403, times=None)
    with pytest.raises(PermissionError, match=r"gs://models/a is denied: .* Grant roles/storage.objectUser"):
        files_at("gs://models/a").write("gs://models/a", b"")


def test_a_bucket_that_is_missing_is_named(fake_bucket: FakeBucket) -> None:
    with pytest.raises(FileNotFoundError, match="There is no gs://missing/a"):
        files_at("gs://missing").matching("gs://missing/a")


@pytest.mark.parametrize("location", ["s3://bucket/a", "http://host/a"], ids=["s3", "http"])
def test_another_scheme_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=f'"{location}" is neither a path nor gs://BUCKET/NAME'):
        files_at(location)


def test_a_name_without_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"gs:///a" names no bucket. Write gs://BUCKET/NAME'):
        files_at("gs:///a").matching("gs:///a")


def test_what_was_found_is_known_again_by_its_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    assert files_at(str(path)).matching(str(path)) == [Found(str(path), 2, path.stat().st_mtime_ns)]
