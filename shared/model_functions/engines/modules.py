"""Runs torch modules of tensors: exported programs, TorchScript, and classes of the publisher's own."""

import inspect
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils import _pytree as pytree

from model_functions.engines.tensors import array
from model_functions.engines.torch import frozen
from model_functions.errors import InvalidInput
from model_functions.source_code import SourceCode
from model_functions.tensors import Dimension, TensorSpec

Sizes = Mapping[str, tuple[int, int | None]]


class TorchModel:
    """The base: from arrays to the module's inputs, from what it answers to outputs by name.

    A tensor alone is the output ``output``; of tuples and dicts each tensor is one, named by its place: ``logits``,
    ``output_0``, ``hidden_1``.
    """

    module: Any
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    sizes: Sizes = MappingProxyType({})
    program: Any = None
    """Of torch.export, where there is one."""
    copied_bytes = (0, 0)

    def run(self, arrays: dict[str, NDArray[Any]], outputs: list[str]) -> list[Any]:
        """Raises InvalidInput for values that the module cannot take, as an index beyond a table's end."""
        try:
            with torch.inference_mode():
                answer = self.call(self.tensors(arrays))
        except (RuntimeError, IndexError, AssertionError, ValueError) as exc:
            if "allocate memory" in str(exc):
                raise
            raise InvalidInput("data", f"The model cannot take this data: {_first_line(exc)}") from exc
        found = {name: _array(value) for name, value in named(answer)}
        return [found[name] for name in outputs]

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        """What the module answers."""
        return self.module(**tensors)

    def tensors(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
        """The arrays of inputs, each of its type."""
        return {spec.name: _tensor(arrays[spec.name], spec) for spec in self.inputs if spec.name in arrays}

    def describe(self, example: Mapping[str, NDArray[Any]]) -> list[tuple[int, ...]]:
        """Fills in the outputs, by a run with arrays of the inputs, and returns their shapes."""
        with torch.inference_mode():
            found = list(named(self.call(self.tensors(example))))
        if not found:
            raise ValueError("The module answers with no tensor.")
        self.outputs = [TensorSpec(name, _dtype(value), None) for name, value in found]
        return [tuple(value.shape) for _, value in found]


class SilentModel(TorchModel):
    """One whose module tells neither the types nor the shapes of its inputs."""

    def arguments(self) -> list[str]:
        """The names of what the module's forward takes."""
        raise NotImplementedError

    def declare(self, inputs: list[TensorSpec]) -> None:
        """Raises ValueError where the module does not take such inputs."""
        self.inputs = inputs
        try:
            self.describe(example_of(inputs, self.sizes))
        except Exception as exc:
            # A module may raise anything.
            raise ValueError(f"The module cannot take inputs as they are declared: {_first_line(exc)}") from exc

    def deduce(self, item: Mapping[str, Any], batched: bool | None) -> bool:
        """Fills in the inputs' types and shapes as the item has them; whether the module reads batches.

        It does if it answers two of them row by row. Whole numbers are integers unless it only takes others.
        """
        reasons = []
        for reads_batches, integers in product((True, False), ("int64", "float32")):
            if batched not in (None, reads_batches):
                continue
            specs = [_spec_of(name, value, integers) for name, value in item.items()]
            arrays = {spec.name: array(item[spec.name], spec) for spec in specs}
            if reads_batches:
                specs = [replace(spec, shape=(None, *(spec.shape or ()))) for spec in specs]
                arrays = {name: np.stack([one, one]) for name, one in arrays.items()}
            self.inputs = specs
            try:
                shapes = self.describe(arrays)
            except Exception as exc:  # noqa: BLE001 - a module may raise anything
                reasons.append(_first_line(exc))
                continue
            if not reads_batches or all(shape[:1] == (2,) for shape in shapes):
                return reads_batches
        raise ValueError(f"The module cannot take the example: {reasons[-1] if reasons else 'its rows are no items'}")


class ExportedModel(TorchModel):
    """A program of torch.export.

    Args:
        archive: the ``.pt2`` file, uint8.
    """

    def __init__(self, archive: NDArray[np.uint8]) -> None:
        self.archive: NDArray[np.uint8] | None = archive
        self.copied_bytes = (2 * archive.nbytes, 0)
        self.program = _loaded_program(archive)
        self._start()
        self.inputs, self.sizes = self._signature()
        self.outputs: list[TensorSpec] = []

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        leaves = [tensors.get(name, value) for name, value in self._leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.program.call_spec.in_spec)
        return self.module(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {"archive": self.archive, "inputs": self.inputs, "outputs": self.outputs, "sizes": self.sizes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.inputs, self.outputs, self.sizes = state["inputs"], state["outputs"], state["sizes"]
        self.program = _loaded_program(state["archive"])
        # Its bytes are in the tensors now, and go.
        self.archive = None
        self._start()

    def _start(self) -> None:
        self.module = self.program.module()
        kinds = torch.export.graph_signature
        users = [spec for spec in self.program.graph_signature.input_specs if spec.kind == kinds.InputKind.USER_INPUT]
        self._leaves = [(spec.arg.name, getattr(spec.arg, "value", None)) for spec in users]

    def _signature(self) -> tuple[list[TensorSpec], Sizes]:
        values = {node.name: node.meta.get("val") for node in self.program.graph.nodes if node.op == "placeholder"}
        tensors = [(name, values.get(name)) for name, _ in self._leaves]
        inputs = [
            TensorSpec(name, _dtype(value), tuple(map(_dimension, value.shape)))
            for name, value in tensors
            if isinstance(value, torch.Tensor)
        ]
        return inputs, dict(_ranges(self.program.range_constraints))


class ScriptedModel(SilentModel):
    """A TorchScript archive, as torch.jit.save writes it.

    Args:
        archive: the file, uint8.
    """

    def __init__(self, archive: NDArray[np.uint8]) -> None:
        self.archive: NDArray[np.uint8] | None = archive
        self.copied_bytes = (2 * archive.nbytes, 0)
        self.module = _loaded_script(archive)
        self.inputs: list[TensorSpec] = []
        self.outputs: list[TensorSpec] = []

    def arguments(self) -> list[str]:
        return [argument.name for argument in self.module.forward.schema.arguments[1:]]

    def __getstate__(self) -> dict[str, Any]:
        return {"archive": self.archive, "inputs": self.inputs, "outputs": self.outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.inputs, self.outputs = state["inputs"], state["outputs"]
        self.module, self.archive = _loaded_script(state["archive"]), None


class SourceModel(SilentModel):
    """A module of a class whose source ships with it, or of torch's own classes.

    Args:
        module: ready made.
        made: how to make it anew; None leaves the module itself to the stream.
    """

    def __init__(self, module: Any, made: "Recipe | None" = None) -> None:
        self.module = frozen(module)
        self.made = made
        self.inputs: list[TensorSpec] = []
        self.outputs: list[TensorSpec] = []

    def arguments(self) -> list[str]:
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        signature = inspect.signature(self.module.forward)
        return [name for name, one in signature.parameters.items() if one.kind not in kinds]

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        if all(name in tensors for name in self.arguments()[: len(tensors)]):
            # By place: torch's own containers take no names.
            return self.module(*(tensors[name] for name in self.arguments() if name in tensors))
        return self.module(**tensors)

    def __getstate__(self) -> dict[str, Any]:
        state = {"made": self.made, "inputs": self.inputs, "outputs": self.outputs}
        return state | ({"module": self.module} if self.made is None else {"weights": self.module.state_dict()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.made, self.inputs, self.outputs = state["made"], state["inputs"], state["outputs"]
        self.module = state.get("module")
        if self.made is not None:
            self.module = frozen(self.made.module(state["weights"]))


@dataclass(frozen=True)
class Recipe:
    """How a module is made: a class, or a function that gives a module, and what it is called with."""

    source: SourceCode
    name: str
    init: dict[str, Any]

    def module(self, weights: Mapping[str, torch.Tensor]) -> Any:
        """Raises ValueError where the weights are not the class's."""
        made = self.source.find(self.name)
        try:
            module = made(**self.init)
        except TypeError as exc:
            raise ValueError(
                f"{self.name} of {self.source.file} cannot be made: {exc}. Give its arguments as init."
            ) from exc
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"{self.name} of {self.source.file} is no torch.nn.Module.")
        try:
            # The very tensors, where they lie, and no copies.
            module.load_state_dict(weights, assign=True)
        except RuntimeError as exc:
            told = "; ".join(line.strip() for line in str(exc).splitlines()[1:4])
            raise ValueError(f"The weights are not those of {self.name}: {told[:300]}") from exc
        return module


def checkpoint(path: str, *, trusted: bool) -> Any:
    """What torch.save wrote: on the CPU, and, unless it is trusted, tensors alone, which run nothing.

    Raises pickle.UnpicklingError for what holds more than tensors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=not trusted)


def is_module(value: Any) -> bool:
    return isinstance(value, torch.nn.Module)


def state_dict_of(found: Any) -> dict[str, Any] | None:
    """The weights by name in what was loaded, as training scripts wrap them; None where there are none."""
    if is_module(found):
        return dict(found.state_dict())
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(map(torch.is_tensor, found.values())):
        return None
    prefixed = all(name.startswith("module.") for name in found)
    return {name.removeprefix("module.") if prefixed else name: tensor for name, tensor in found.items()}


def named(answer: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of an answer, with a name each."""
    for path, value in pytree.tree_flatten_with_path(answer)[0]:
        if not torch.is_tensor(value):
            continue
        parts = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", "")))) for key in path]
        name = "_".join(parts)
        yield name if name and not name[0].isdigit() else f"output_{name}" if name else "output", value


def _loaded_program(archive: NDArray[np.uint8]) -> Any:
    with _file(archive, ".pt2") as path:
        return torch.export.load(path)


def _loaded_script(archive: NDArray[np.uint8]) -> Any:
    load: Any = torch.jit.load
    with _file(archive, ".pt") as path:
        return load(path, map_location="cpu").eval()


@contextmanager
def _file(archive: NDArray[np.uint8], suffix: str) -> Iterator[str]:
    """The archive as a file, and without warnings: TorchScript is not developed any more, and says so.

    torch copies what it is given in memory up to five times, and reads a file as it goes.
    """
    with tempfile.NamedTemporaryFile(suffix=suffix) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.write(archive.data)
        file.flush()
        yield file.name


def _tensor(array: NDArray[Any], spec: TensorSpec) -> torch.Tensor:
    # A request's bytes cannot be written to, and a module may.
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensor.to(torch.bfloat16) if spec.dtype == "bfloat16" else tensor


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    found: NDArray[Any] = tensor.detach().numpy()
    return found


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _dimension(size: Any) -> Dimension:
    if isinstance(size, int):
        return size
    # An expression of symbols, as 2 * s0: the program itself knows whether a size fits.
    return str(size) if str(size).isidentifier() else None


def _ranges(constraints: Mapping[Any, Any]) -> Iterator[tuple[str, tuple[int, int | None]]]:
    for symbol, limits in constraints.items():
        high = str(limits.upper)
        yield str(symbol), (max(1, int(limits.lower)), int(high) if high.isdecimal() and int(high) < 2**31 else None)


def _spec_of(name: str, value: Any, integers: str) -> TensorSpec:
    found = np.array(value)
    dtypes = {"b": "bool", "i": integers, "f": "float32", "U": "string"}
    if found.dtype.kind not in dtypes:
        raise ValueError(f'The example\'s "{name}" is no tensor of numbers.')
    return TensorSpec(name, dtypes[found.dtype.kind], found.shape)


def _first_line(exc: Exception) -> str:
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    # TorchScript's interpreter tells its stack first.
    return (lines[-1] if lines[0].startswith("The following operation failed") else lines[0])[:200]


def example_of(inputs: Sequence[TensorSpec], sizes: Sizes) -> dict[str, NDArray[Any]]:
    """Zeros of the inputs' shapes, two wherever any size will do."""
    return {
        spec.name: np.zeros([_size(size, sizes) for size in spec.shape or ()], _numpy(spec.dtype)) for spec in inputs
    }


def _size(size: Dimension, sizes: Sizes) -> int:
    if isinstance(size, int):
        return size
    low, high = sizes.get(size, (1, None)) if size is not None else (1, None)
    return max(low, min(2, high or 2))


def _numpy(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype
