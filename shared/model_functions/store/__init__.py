"""Where an artifact's bytes live: a folder or a bucket behind one small interface."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from model_functions.errors import ConfigurationInvalid

#: The generation to name when an object must not exist yet.
NEW = 0


class Stored(NamedTuple):
    """An object and the generation of the bytes that were read."""

    data: bytes
    generation: int


class OpenObject(AbstractContextManager["OpenObject"], Protocol):
    """One generation of an object, whatever is written over it meanwhile."""

    @property
    def size(self) -> int | None:
        """Bytes of the whole object; None before any have been read, and where the store does not tell."""

    def read_into(self, buffer: memoryview, offset: int = 0) -> None:
        """Fills all of ``buffer`` with the object's bytes from ``offset`` on; several threads may.

        The bytes are as the store gives them: the caller checks their digest.
        Raises ObjectNotFound, StoreUnavailable, DigestMismatch when the object ends too early.
        """

    def give_up(self) -> None:
        """Ends what is being read, with StoreUnavailable; where a read may last, before it is done."""


class Store(Protocol):
    """Named bytes with generations, as Cloud Storage has them.

    A name is ``/``-separated, checked by the repository. A generation is a positive integer that
    changes with every write of the object.
    """

    @property
    def location(self) -> str:
        """What ``open_store`` opens it by."""

    def read(self, name: str) -> Stored:
        """A whole small object. Raises ObjectNotFound, StoreUnavailable."""

    def open(self, name: str) -> OpenObject:
        """The object, to be read in parts. Raises ObjectNotFound for what is no name."""

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        """Writes all or nothing, and only while ``generation`` is the object's own (NEW: none yet).

        ``on_progress`` is told the number of bytes of each step. Returns the new generation.
        Raises Conflict when somebody else wrote first, StoreUnavailable.
        """

    def list(self, prefix: str = "") -> Iterator[str]:
        """The names that start with ``prefix``, sorted. Raises StoreUnavailable."""


def open_store(location: str) -> Store:
    """The store at ``gs://bucket[/prefix]`` or at a folder's path."""
    if location.startswith("gs://"):
        # Imported here: a function that reads a folder must not pay for the bucket's client.
        from model_functions.store.bucket import BucketStore

        return BucketStore.at(location)
    if "://" in location:
        raise ConfigurationInvalid(f'"{location}" is no store. Set MODEL_STORE to gs://BUCKET[/PREFIX] or to a folder.')
    from model_functions.store.folder import FolderStore

    return FolderStore(location)
