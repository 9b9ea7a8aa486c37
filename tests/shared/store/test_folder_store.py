from pathlib import Path

import pytest

from model_functions.errors import StoreUnavailable
from model_functions.store import NEW
from model_functions.store.folder import FolderStore


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailable, match=r"^x cannot be written: "):
        FolderStore(tmp_path / "file").write("x", b"1", generation=NEW)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("a/b", b"1", generation=NEW)
    with pytest.raises(StoreUnavailable, match=r"^a cannot be written: "):
        store.write("a", b"2", generation=(tmp_path / "a").stat().st_mtime_ns)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a"]
    assert list(store.list()) == ["a/b"]
