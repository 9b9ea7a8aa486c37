from pathlib import Path

import pytest

from model_functions.artifact.manifest import FileEntry
from model_functions.artifact.reader import read_verified
from model_functions.errors import DigestMismatch
from model_functions.store import NEW
from model_functions.store.folder import FolderStore

DATA = bytes(range(256)) * 5
ENTRY = FileEntry.of(DATA, chunk_size=300)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path)
    store.write("a/wrapper.dill", DATA, generation=NEW)
    return store


def test_the_whole_file_comes_back_and_is_counted(store: FolderStore) -> None:
    steps: list[int] = []
    assert read_verified(store, "a/wrapper.dill", ENTRY, steps.append) == DATA
    assert steps == [300, 300, 300, 300, 80]


@pytest.mark.parametrize("position", [0, 299, 300, 1279])
def test_a_changed_byte_is_refused_with_its_chunk(store: FolderStore, position: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= 1
    (store.root / "a/wrapper.dill").write_bytes(changed)
    start = position // 300 * 300
    with pytest.raises(DigestMismatch) as caught:
        read_verified(store, "a/wrapper.dill", ENTRY)
    assert caught.value.message.startswith(f"Bytes {start} to {min(start + 299, 1279)} of wrapper.dill are not those")


def test_a_short_file_is_refused(store: FolderStore) -> None:
    (store.root / "a/wrapper.dill").write_bytes(DATA[:-1])
    with pytest.raises(DigestMismatch, match="ends after 1279 bytes"):
        read_verified(store, "a/wrapper.dill", ENTRY)


def test_a_chunk_that_arrives_garbled_once_is_fetched_again(store: FolderStore) -> None:
    reads: list[int] = []

    class Garbling(FolderStore):
        def read_into(self, name: str, buffer: memoryview, offset: int = 0) -> None:
            super().read_into(name, buffer, offset)
            reads.append(offset)
            if reads == [0, 300]:
                buffer[5] ^= 1

    assert read_verified(Garbling(store.root), "a/wrapper.dill", ENTRY) == DATA
    assert reads == [0, 300, 300, 600, 900, 1200]
