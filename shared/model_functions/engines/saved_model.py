"""From what people have of TensorFlow to a SavedModel's files; the only module that imports tensorflow and keras.

A publisher's alone. It does so in a process of its own, where the same file gives the same bytes every time.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines.tensorflow import TYPES, SavedModel, Signature
from model_functions.tensors import TensorSpec
from model_functions.wrapper import check_trusted

#: What TensorFlow reads of a SavedModel's folder; the rest is for other tools, or changes with every saving.
_READ = ("saved_model.pb", "saved_model.pbtxt", "variables/**/*", "assets/**/*")

#: Keras's own formats; .hdf5 is what old tutorials call .h5.
KERAS = (".keras", ".h5", ".hdf5")


def load(source: Path, *, trusted: bool) -> SavedModel:
    """The model of a SavedModel's folder, or of a Keras file. Raises ValueError with the reason why it is none."""
    with tempfile.TemporaryDirectory() as folder:
        signatures = {name: _signature(found) for name, found in _described(source, Path(folder), trusted).items()}
        files = _files(Path(folder) if source.suffix in KERAS else versioned(source))
    return SavedModel(files, signatures)


def versioned(folder: Path) -> Path:
    """The folder itself, or where it holds versions, as TensorFlow Serving's do, the highest one's."""
    versions = [path for path in folder.iterdir() if path.name.isdecimal() and _is_saved_model(path)]
    if _is_saved_model(folder) or not versions:
        return folder
    return max(versions, key=lambda path: int(path.name))


def _is_saved_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _READ[:2])


def _described(source: Path, target: Path, trusted: bool) -> dict[str, Any]:
    """The signatures as the source tells them; of a Keras file a SavedModel is left in the target."""
    answer = _in_a_fresh_process(source, target, trusted)
    if "error" in answer:
        raise ValueError(answer["error"])
    signatures: dict[str, Any] = answer["signatures"]
    return signatures


def _in_a_fresh_process(source: Path, target: Path, trusted: bool) -> dict[str, Any]:
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONHASHSEED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    told = target.with_name(f"{target.name}.json")
    command = [sys.executable, "-m", __name__, str(source), str(target), str(told), "trusted" if trusted else ""]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not told.exists():
            raise ValueError(f"{source.name} cannot be read: {(done.stderr.splitlines() or ['no reason given'])[-1]}")
        answer: dict[str, Any] = json.loads(told.read_text())
    finally:
        told.unlink(missing_ok=True)
    return answer


def _signature(found: dict[str, Any]) -> Signature:
    inputs, outputs = (
        [TensorSpec(spec["name"], spec["dtype"], spec["shape"] and tuple(spec["shape"])) for spec in found[kind]]
        for kind in ("inputs", "outputs")
    )
    return Signature(inputs, outputs, found["fed"], found["fetched"])


def _files(folder: Path) -> dict[str, NDArray[np.uint8]]:
    paths = sorted({path for pattern in _READ for path in folder.glob(pattern) if path.is_file()})
    # Arrays, because they lie beside the stream, and come from the store straight into the memory they are read from.
    return {path.relative_to(folder).as_posix(): np.fromfile(path, np.uint8) for path in paths}


def main() -> None:
    """In the process of its own: SOURCE TARGET TOLD and whether the source is trusted."""
    source, target, told, trusted = sys.argv[1:]
    Path(told).write_text(json.dumps(read_here(Path(source), Path(target), bool(trusted))))


def read_here(source: Path, target: Path, trusted: bool) -> dict[str, Any]:
    """What is told of the source, or the error: by the process that has TensorFlow."""
    try:
        if source.suffix in KERAS:
            _convert(source, str(target), trusted=trusted)
        folder = target if source.suffix in KERAS else versioned(source)
        return {"signatures": _signatures(folder, source.name)}
    except (ValueError, OSError) as exc:
        return {"error": str(exc)}


def _signatures(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    from google.protobuf.message import DecodeError

    if not (folder / _READ[0]).is_file():
        raise ValueError(f"{name} is no SavedModel: it has no saved_model.pb, nor has a folder of a version in it.")
    document = _messages().SavedModel()
    try:
        document.ParseFromString((folder / _READ[0]).read_bytes())
    except DecodeError as exc:
        raise ValueError(f"{name} is no SavedModel: its saved_model.pb is cut short, or none at all.") from exc
    graphs = [graph for graph in document.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        raise ValueError(f'{name} has no graph tagged "serve". Save it with tf.saved_model.save.')
    found = {
        key: _found(signature)
        for key, signature in sorted(graphs[0].signature_def.items())
        if not key.startswith("__saved_model") and signature.inputs
    }
    if not found:
        raise ValueError(f"{name} has no signature. Save it with tf.saved_model.save(…, signatures=…).")
    return found


def _messages() -> Any:
    """The module of a SavedModel's messages, alone: the package around it takes seconds to import."""
    if "tensorflow" not in sys.modules:
        found = importlib.util.find_spec("tensorflow")
        package = types.ModuleType("tensorflow")
        package.__path__ = list((found and found.submodule_search_locations) or [])
        sys.modules["tensorflow"] = package
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2


def _found(signature: Any) -> dict[str, Any]:
    kinds = {"inputs": signature.inputs, "outputs": signature.outputs}
    # A map of a message has no order of its own.
    specs = {kind: [_spec(name, tensors[name]) for name in sorted(tensors)] for kind, tensors in kinds.items()}
    fed, fetched = ({name: tensors[name].name for name in sorted(tensors)} for tensors in kinds.values())
    return specs | {"fed": fed, "fetched": fetched}


def _spec(name: str, tensor: Any) -> dict[str, Any]:
    dtype = TYPES.get(tensor.dtype)
    if dtype is None or tensor.WhichOneof("encoding") != "name":
        raise ValueError(
            f'"{name}" is sparse, or of a type that JSON cannot spell (number {tensor.dtype} of TensorFlow\'s). '
            f"The types: {', '.join(TYPES.values())}."
        )
    sizes = [None if size.size < 0 else size.size for size in tensor.tensor_shape.dim]
    return {"name": name, "dtype": dtype, "shape": None if tensor.tensor_shape.unknown_rank else sizes}


def _convert(source: Path, target: str, *, trusted: bool) -> None:
    """Writes the Keras model as a SavedModel, its weights and tables in the order that it holds them.

    Keras's own export writes them in another order each time.
    """
    model = _keras_model(source, trusted=trusted)
    import tensorflow as tf

    names = [tensor.name for tensor in model.inputs]
    specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs}

    def serve(**given: Any) -> Any:
        import keras

        shaped = keras.tree.pack_sequence_as(model._inputs_struct, [given[name] for name in names])
        answer = model(shaped, training=False)
        if isinstance(answer, dict):
            return answer
        listed = keras.tree.flatten(answer)
        return {f"output_{index}": one for index, one in enumerate(listed)}

    held = tf.Module()
    # The model for its tables; its variables once more, because it hides those that draw random numbers.
    held.model, held.variables_of_model = model, [variable.value for variable in model.variables]
    function = tf.function(serve, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(held, target, signatures={"serving_default": function})


def _keras_model(source: Path, *, trusted: bool) -> Any:
    config = _keras_config(source)
    if '"Lambda"' in config:
        # The layer's code stands in the file, and runs as soon as the layer is made.
        check_trusted(str(source), trusted=trusted)
    import keras

    # A layer that draws begins with a seed drawn now, and the seed is in the artifact.
    keras.utils.set_random_seed(0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = _as_keras_3_reads(source, config, folder)
            model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as exc:
        raise ValueError(
            f"Keras cannot load {source.name}: {_first_line(exc)} A model with classes of your own serves as a "
            "SavedModel: write it with model.export(folder)."
        ) from exc
    if not getattr(model, "inputs", None):
        raise ValueError(f"{source.name} tells no inputs. Call the model once before you save it, or export it.")
    return model if hasattr(model, "_inputs_struct") else model._functional


def _as_keras_3_reads(source: Path, config: str, folder: str) -> Path:
    """The file, or a copy: Keras 2 says that an LSTM is not time-major, which Keras 3 cannot be told."""
    said = '"time_major": false, '
    if source.suffix == ".keras" or said not in config:
        return source
    import h5py

    copy = Path(shutil.copy(source, folder))
    with h5py.File(copy, "a") as file:
        file.attrs["model_config"] = config.replace(said, "")
    return copy


def _keras_config(source: Path) -> str:
    """The model's description, as JSON. Raises ValueError for a file without one."""
    if source.suffix == ".keras":
        import zipfile

        try:
            with zipfile.ZipFile(source) as archive:
                return archive.read("config.json").decode()
        except (zipfile.BadZipFile, KeyError) as exc:
            raise ValueError(f"{source.name} is no .keras file, or one that is cut short: {exc}.") from exc
    import h5py

    try:
        with h5py.File(source) as file:
            config = file.attrs.get("model_config")
    except OSError as exc:
        raise ValueError(f"{source.name} is no HDF5 file, or one that is cut short: {_first_line(exc)}") from exc
    if config is None:
        raise ValueError(f"{source.name} has weights only, and no model. Save the whole model: model.save(…).")
    return config if isinstance(config, str) else config.decode()


def _first_line(exc: Exception) -> str:
    return f"{str(exc).strip().partition(chr(10))[0][:300]}."


if __name__ == "__main__":
    main()
