"""The wrapper as a dill stream and back; the only module that imports dill.

Tensors, arrays and long byte strings leave the stream for weights.safetensors, each memory once: what is
tied, shared or a view of something else is so again after loading.
"""

import functools
import importlib
import importlib.metadata
import io
import pickle
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import dill

from model_functions.artifact.manifest import WeightsLayout, installed_version
from model_functions.artifact.region import Region
from model_functions.artifact.weights import Buffer, Place, WeightsWriter
from model_functions.errors import GlobalRefused

PROTOCOL = 5

#: Bytes from which an array or a byte string leaves the stream. Every tensor does.
OUT_OF_BAND_BYTES = 4096


class Serialized(NamedTuple):
    """A wrapper's two files.

    Args:
        weights: empty when the wrapper has nothing that leaves the stream.
    """

    stream: bytes
    weights: bytes
    layout: WeightsLayout


def dump(wrapper: Any) -> Serialized:
    """The wrapper's files; the same wrapper gives the same bytes in every process.

    Raises ValueError for what dill cannot serialize.
    """
    try:
        try:
            # recurse: a function taken by value brings the globals it uses, not all of its module's.
            return _dumped(wrapper, recurse=True)
        except RecursionError:
            # dill follows the functions that a function names, and some name each other.
            return _dumped(wrapper, recurse=False)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"The wrapper cannot be serialized: {exc}. Take out what belongs to this machine.") from exc


def _dumped(wrapper: Any, *, recurse: bool) -> Serialized:
    buffer = io.BytesIO()
    writer = WeightsWriter()
    _Pickler(buffer, writer, protocol=PROTOCOL, recurse=recurse).dump(wrapper)
    return Serialized(buffer.getvalue(), *writer.file())


def load(data: bytes | memoryview, region: Region, allowed: Iterable[str]) -> Any:
    """The wrapper of a verified stream, its arrays in the region. Raises GlobalRefused for an import not allowed.

    Args:
        allowed: every ``module:name`` that the stream may import.
    """
    return _Unpickler(io.BytesIO(data), region, frozenset(allowed)).load()


def import_modules(allowed: Iterable[str]) -> None:
    """Imports what loading the stream will need, while its weights are still on their way."""
    for module in dict.fromkeys(name.partition(":")[0] for name in allowed):
        importlib.import_module(module)


def load_and_list(serialized: Serialized) -> tuple[Any, tuple[str, ...]]:
    """The wrapper and every ``module:name`` that loading it imports; for the stream's own publisher."""
    region = Region.of(serialized.weights, serialized.layout)
    unpickler = _Unpickler(io.BytesIO(serialized.stream), region, None)
    wrapper = unpickler.load()
    return wrapper, tuple(sorted(unpickler.imported))


def load_foreign(data: bytes) -> tuple[Any, dict[str, Any]]:
    """What somebody dumped with dill itself, and the globals that its functions find in place of their ``__main__``'s.

    It runs whatever they put into it: for a publisher who trusts them.
    """
    main = ModuleType("__main__")
    unpickler = dill.Unpickler(io.BytesIO(data))  # noqa: S301 - they have said that they do
    unpickler._main = main
    return unpickler.load(), vars(main)


def packages_of(names: Iterable[str]) -> dict[str, str]:
    """The installed packages that the named globals come from, with their versions."""
    distributions = _distributions()
    modules = {name.partition(":")[0].partition(".")[0] for name in names} | {"dill"}
    packages = {package for module in modules - sys.stdlib_module_names for package in distributions.get(module, ())}
    return {package: installed_version(package) or "" for package in sorted(packages)}


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The packages that each top-level module comes from: what is installed is read once, file by file."""
    return importlib.metadata.packages_distributions()


class _Pickler(dill.Pickler):  # type: ignore[misc]
    # dill treats a pickler as its own by its module's name, and only then keeps __main__'s classes.
    __module__ = "dill.model_functions"

    dispatch = dill.Pickler.dispatch.copy()

    def __init__(self, file: io.BytesIO, writer: WeightsWriter, **options: Any) -> None:
        super().__init__(file, **options)
        self._writer = writer
        self._places: dict[Any, Place] = {}
        self._numbers: dict[int, int] = {}
        # An object that lives as long as the pickler keeps its id to itself.
        self._seen: list[Any] = []

    def persistent_id(self, value: Any) -> Any:
        """What the stream holds instead of a storage, an array or a long byte string."""
        kind = type(value)
        if kind is bytes and len(value) >= OUT_OF_BAND_BYTES:
            return "bytes", self._number(value), self._place(value, memoryview(value))
        if "numpy" in sys.modules:
            from model_functions.artifact import arrays

            if (stored := arrays.stored(value, OUT_OF_BAND_BYTES)) is not None:
                place = self._place(stored.key, stored.data, stored.dtype, stored.itemsize, half=stored.half)
                return "array", self._number(value), place, *stored.geometry
        if "torch" in sys.modules:
            from model_functions.engines import torch

            if (tensor := torch.stored(value)) is not None:
                place = self._place(tensor.key, tensor.data(), tensor.name, tensor.itemsize)
                return "storage", place, tensor.dtype
        return None

    def _place(self, key: Any, data: memoryview, dtype: str = "U8", itemsize: int = 1, *, half: bool = False) -> Place:
        known = self._places.get(key)
        if known is None:
            known = self._places[key] = self._writer.add(Buffer(data, dtype, itemsize), half=half)
        return known

    def _number(self, value: Any) -> int:
        """One for each object, so that what is one object stays one."""
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._seen)
            self._seen.append(value)
        return self._numbers[id(value)]

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

    def __init__(self, file: io.BytesIO, region: Region, allowed: frozenset[str] | None) -> None:
        super().__init__(file)
        self.allowed = allowed
        self.imported: set[str] = set()
        self._region = region
        self._objects: dict[Any, Any] = {}

    def persistent_load(self, reference: Any) -> Any:
        if isinstance(reference[0], int):
            return self._version_1_storage(*reference)
        kind, key, *rest = reference
        if (kind, key) not in self._objects:
            self._objects[kind, key] = self._restored(kind, key, *rest)
        if kind == "storage":
            return self._typed(self._objects[kind, key], *rest)
        return self._objects[kind, key]

    def _restored(self, kind: str, key: Any, *rest: Any) -> Any:
        if kind == "storage":
            from model_functions.engines import torch

            return torch.storage_over(self._region.view(*key))
        place, *geometry = rest
        view = self._region.view(*place)
        if kind == "bytes":
            return bytes(view)
        from model_functions.artifact import arrays

        return arrays.array_over(view, *geometry)

    def _typed(self, storage: Any, dtype: Any) -> Any:
        from model_functions.engines import torch

        return torch.typed_storage(storage, dtype)

    def _version_1_storage(self, number: int, dtype: Any, data: bytearray | None) -> Any:
        """A storage of manifest version 1, whose bytes are in the stream."""
        from model_functions.engines import torch

        if data is not None:
            self._objects[number] = torch.storage_over(memoryview(data))
        return self._typed(self._objects[number], dtype)

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}:{name}"
        if self.allowed is not None and full_name not in self.allowed:
            raise GlobalRefused(
                f"The artifact imports {full_name}, which its manifest does not list. Publish the model again."
            )
        self.imported.add(full_name)
        return super().find_class(module, name)
