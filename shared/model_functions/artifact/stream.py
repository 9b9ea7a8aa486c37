"""The wrapper as a dill stream and back; the only module that imports dill."""

import importlib.metadata
import io
import pickle
import sys
from collections.abc import Iterable
from typing import Any

import dill

from model_functions.artifact.manifest import installed_version
from model_functions.errors import GlobalRefused

PROTOCOL = 5


def dump(wrapper: Any) -> bytes:
    """The wrapper's stream; the same wrapper gives the same bytes in every process.

    Raises ValueError for what dill cannot serialize.
    """
    buffer = io.BytesIO()
    try:
        # recurse: a function taken by value brings the globals it uses, not all of its module's.
        _Pickler(buffer, protocol=PROTOCOL, recurse=True).dump(wrapper)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"The wrapper cannot be serialized: {exc}. Take out what belongs to this machine.") from exc
    return buffer.getvalue()


def load(data: bytes | bytearray, allowed: Iterable[str]) -> Any:
    """The wrapper of a verified stream. Raises GlobalRefused for an import that is not allowed.

    Args:
        allowed: every ``module:name`` that the stream may import.
    """
    return _Unpickler(io.BytesIO(data), frozenset(allowed)).load()


def load_and_list(data: bytes) -> tuple[Any, tuple[str, ...]]:
    """The stream's wrapper and every ``module:name`` that loading it imports; for the stream's own publisher."""
    unpickler = _Unpickler(io.BytesIO(data), None)
    wrapper = unpickler.load()
    return wrapper, tuple(sorted(unpickler.imported))


def packages_of(names: Iterable[str]) -> dict[str, str]:
    """The installed packages that the named globals come from, with their versions."""
    distributions = importlib.metadata.packages_distributions()
    modules = {name.partition(":")[0].partition(".")[0] for name in names} | {"dill"}
    packages = {package for module in modules - sys.stdlib_module_names for package in distributions.get(module, ())}
    return {package: installed_version(package) or "" for package in sorted(packages)}


class _Pickler(dill.Pickler):  # type: ignore[misc]
    # dill treats a pickler as its own by its module's name, and only then keeps __main__'s classes.
    __module__ = "dill.model_functions"

    dispatch = dill.Pickler.dispatch.copy()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._storages: dict[Any, int] = {}

    def persistent_id(self, value: Any) -> Any:
        """A torch storage as its bytes, once; torch's own form names addresses, and copies what is shared."""
        if "torch" not in sys.modules:
            return None
        from model_functions.engines import torch

        storage = torch.stored(value)
        if storage is None:
            return None
        known = storage.address in self._storages
        number = self._storages.setdefault(storage.address, len(self._storages))
        return number, storage.dtype, None if known else storage.read()

    def _save_set(self, value: set[Any]) -> None:
        # A set's order changes with the hash seed, and with it the artifact's digest.
        self.save_reduce(set, (sorted(value, key=repr),), obj=value)

    def _save_frozenset(self, value: frozenset[Any]) -> None:
        self.save_reduce(frozenset, (sorted(value, key=repr),), obj=value)

    def _save_buffer(self, buffer: pickle.PickleBuffer) -> None:
        # pickle's own writes a temporary past the memo, and trips over two empty ones: they are one object.
        with buffer.raw() as raw:
            self.save(bytes(raw) if raw.readonly else bytearray(raw))

    dispatch[pickle.PickleBuffer] = _save_buffer
    dispatch[set] = _save_set
    dispatch[frozenset] = _save_frozenset


class _Unpickler(dill.Unpickler):  # type: ignore[misc]
    __module__ = "dill.model_functions"

    def __init__(self, file: io.BytesIO, allowed: frozenset[str] | None) -> None:
        super().__init__(file)
        self.allowed = allowed
        self.imported: set[str] = set()
        self._storages: dict[int, Any] = {}

    def persistent_load(self, reference: Any) -> Any:
        from model_functions.engines import torch

        number, dtype, data = reference
        if data is not None:
            self._storages[number] = torch.storage_over(data)
        return torch.typed_storage(self._storages[number], dtype)

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}:{name}"
        if self.allowed is not None and full_name not in self.allowed:
            raise GlobalRefused(
                f"The artifact imports {full_name}, which its manifest does not list. Publish the model again."
            )
        self.imported.add(full_name)
        return super().find_class(module, name)
