"""PyTorch: tensors in, tensors out, by any module."""

import importlib.util
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from model_functions.source_code import SourceCode
from model_functions.tensor_models import TensorWrapper, beside, check_batched, given_specs, prepared_item
from model_functions.wrapper import check_trusted

_SUFFIXES = (".pt2", ".pt", ".pth")


class PytorchWrapper(TensorWrapper):
    """A prediction is the module's output as nested lists, or, of several outputs, an object of them by name:
    a dict's own keys, or ``output_0``, ``output_1`` of a tuple.
    """

    family, engine_name = "pytorch", "torch"
    formats = ("torch_export", "torchscript", "torch_pickle")
    settings = (*TensorWrapper.settings, "class_path", "init", "inputs")

    @classmethod
    def from_source(
        cls,
        source: str,
        *,
        example: Any = None,
        trusted: bool = False,
        class_path: str | None = None,
        init: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """From a ``.pt2`` of torch.export, a TorchScript archive, or a checkpoint of torch.save, ``.pt`` or ``.pth``.

        A checkpoint of weights needs its class: ``net:Net`` is Net in net.py beside it, else in the
        module net that can be imported, and its source ships. A ``.pt2``
        may hold pickles, and so may a checkpoint of a whole module: they must be trusted. The settings may stand in a
        JSON file beside the model: ``{"class_path": "net:Net", "init": {"width": 8}, "inputs": {"pixels": {"dtype":
        "float32", "shape": [null, 8, 8]}}, "postprocess": {"output": ["softmax"]}}``, with the steps of
        engines/steps.py.

        Args:
            example: an item; the inputs have its types and shapes, where nothing else tells them.
            class_path: the class, or a function that gives the module, as ``FILE:NAME``.
            init: what it is called with, by name.
            inputs: type and shape of each input, by the names that the module's forward has.
            settings: the other arguments of the wrapper.
        """
        path = Path(source)
        if path.suffix not in _SUFFIXES:
            raise ValueError(f"{path.name} is no .pt2, .pt or .pth file.")
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        told = beside(path, cls.settings)
        own: dict[str, Any] = {"class_path": class_path, "init": init, "inputs": inputs}
        own = {name: told.pop(name, None) if value is None else value for name, value in own.items()}
        settings = {name: value for name, value in told.items() if name not in own} | settings
        kind = _kind(path)
        if kind == "program":
            check_trusted(source, trusted=trusted)
            return cls.from_engine(_program(path), example, **settings)
        if kind == "script":
            engine = _script(path)
        else:
            engine = _checkpoint(path, own["class_path"], own["init"] or {}, trusted=trusted)
        return cls._from_silent(engine, example, own["inputs"], **settings)

    @classmethod
    def from_module(
        cls, module: Any, example: Any = None, *, inputs: Mapping[str, Any] | None = None, **settings: Any
    ) -> Self:
        """From a module in memory, of a class that the function can import, or of one defined in ``__main__``.

        Args:
            example, inputs: as in ``from_source``.
        """
        from model_functions.engines.modules import SourceModel

        return cls._from_silent(SourceModel(module), example, inputs, **settings)

    @classmethod
    def _from_silent(
        cls,
        engine: Any,
        example: Any,
        inputs: Mapping[str, Any] | None,
        *,
        batched: bool | None = None,
        **settings: Any,
    ) -> Self:
        """From a module that tells neither types nor shapes: they are the publisher's, or those of the example."""
        check_batched(batched)
        if inputs is not None:
            engine.declare(given_specs(inputs))
            return cls.from_engine(engine, example, batched=batched, **settings)
        if example is None:
            raise ValueError("The module tells no shapes. Give an item with --example, or declare its inputs.")
        item = example if isinstance(example, dict) else {engine.arguments()[0]: example}
        batched = engine.deduce(prepared_item(item, settings.get("preprocess")), batched)
        return cls.from_engine(engine, example, batched=batched, **settings)


def _kind(path: Path) -> str:
    """``program``, ``script`` or ``checkpoint``, by what the file holds and not by its name."""
    if not zipfile.is_zipfile(path):
        # As torch.save wrote until 2020: a pickle begins so.
        if _first_byte(path) == b"\x80":
            return "checkpoint"
        raise ValueError(f"{path.name} cannot be loaded: it is no archive of torch's, or cut short.")
    with zipfile.ZipFile(path) as archive:
        parts = {part for name in archive.namelist() for part in name.split("/")[1:]}
    if "archive_format" in parts:
        return "program"
    return "script" if "code" in parts and "constants.pkl" in parts else "checkpoint"


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


def _program(path: Path) -> Any:
    from model_functions.engines import modules

    engine = _loaded(path, modules.ExportedModel)
    engine.describe(modules.example_of(engine.inputs, engine.sizes))
    return engine


def _script(path: Path) -> Any:
    from model_functions.engines import modules

    return _loaded(path, modules.ScriptedModel)


def _loaded(path: Path, engine: Any) -> Any:
    import numpy as np

    try:
        return engine(np.fromfile(path, np.uint8))
    except Exception as exc:
        # An archive that is cut short, or of another release, raises nearly anything.
        raise _unreadable(path, exc) from exc


def _checkpoint(path: Path, name: str | None, init: Any, *, trusted: bool) -> Any:
    from model_functions.engines import modules

    if not isinstance(init, Mapping):
        raise ValueError(f'init is {init!r:.60}. Write an object by the names of the arguments, as {{"width": 8}}.')

    try:
        found = modules.checkpoint(str(path), trusted=trusted)
    except pickle.UnpicklingError as exc:
        if not trusted:
            check_trusted(f"{path.name}, which holds more than weights,", trusted=False)
        raise _unreadable(path, exc) from exc
    except Exception as exc:
        raise _unreadable(path, exc) from exc
    if name is None:
        if modules.is_module(found):
            return modules.SourceModel(found)
        raise ValueError(
            f"{path.name} holds weights without a class. Name it, as --set class_path=net:Net with net.py beside."
        )
    weights = modules.state_dict_of(found)
    if weights is None:
        raise ValueError(f"{path.name} holds no weights by name, but {type(found).__name__}. Save module.state_dict().")
    file, colon, wanted = name.rpartition(":")
    source = _source(path, file)
    if not colon or not wanted.isidentifier() or source is None:
        raise ValueError(f'class_path "{name}": write FILE:NAME, as net:Net for Net in net.py beside {path.name}.')
    recipe = modules.Recipe(SourceCode.read(source), wanted, dict(init))
    return modules.SourceModel(recipe.module(weights), recipe)


def _source(path: Path, module: str) -> Path | None:
    """The file beside the model, or of a module that can be imported here."""
    beside_it = (path.parent / module).with_suffix(".py")
    if beside_it.is_file():
        return beside_it
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _unreadable(path: Path, exc: Exception) -> ValueError:
    reason = (str(exc).strip().splitlines() or [""])[0][:200]
    return ValueError(f"{path.name} cannot be loaded: {type(exc).__name__}: {reason}")
