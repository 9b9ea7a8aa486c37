"""An artifact's bytes, each chunk proven by its digest before anyone sees it."""

import hashlib
from collections.abc import Callable

from model_functions.artifact.manifest import FileEntry
from model_functions.errors import DigestMismatch
from model_functions.store import Store


def read_verified(
    store: Store, name: str, entry: FileEntry, on_progress: Callable[[int], None] | None = None
) -> bytearray:
    """The whole object, as the manifest's entry describes it.

    Raises DigestMismatch, and what the store raises.
    """
    data = bytearray(entry.size)
    view = memoryview(data)
    for index, digest in enumerate(entry.chunks):
        start = index * entry.chunk_size
        chunk = view[start : start + entry.chunk_size]
        # Once more: a line that garbles a chunk must not cost the load.
        if not (_fetched(store, name, chunk, start, digest) or _fetched(store, name, chunk, start, digest)):
            raise DigestMismatch(
                f"Bytes {start} to {start + len(chunk) - 1} of {name.rpartition('/')[2]} are not those that were "
                "signed. Publish the model again."
            )
        if on_progress is not None:
            on_progress(len(chunk))
    return data


def _fetched(store: Store, name: str, chunk: memoryview, start: int, digest: str) -> bool:
    store.read_into(name, chunk, start)
    return hashlib.sha256(chunk).hexdigest() == digest
