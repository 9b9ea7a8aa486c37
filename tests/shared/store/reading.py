"""One read of a part of an object."""

from model_functions.store import Store


def read_into(store: Store, name: str, buffer: memoryview, offset: int = 0) -> None:
    with store.open(name) as found:
        found.read_into(buffer, offset)
