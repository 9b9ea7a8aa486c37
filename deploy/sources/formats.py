"""What a file or a folder is, told by its first bytes, its archive's listing or its JSON documents."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.sources import pickles
from model_functions.source import Source

_HEAD = 64
_HDF5 = b"\x89HDF\r\n\x1a\n"
#: torch before 1.6 wrote this number first, as a pickle of its own.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: Tags of the fields that may come first, and second, in a serialized ONNX ModelProto.
_ONNX_TAGS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)

_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".dill", ".sav")


def read_source(location: str) -> Source:
    """What stands at a path. Raises FileNotFoundError, and ValueError for a file that is broken or empty."""
    path = Path(location)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {location}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty. Copy it again.")
    return _file(path)


def json_object(path: Path, advice: str) -> dict[str, Any]:
    """The fields that a document holds. Raises ValueError, with the advice, for one that is something else."""
    try:
        value = json.loads(path.read_text())
    except ValueError as exc:
        raise ValueError(f"{path} is no JSON: {exc}. {advice}") from exc
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object. {advice}")
    return value


def huggingface(location: str, config: dict[str, Any], documents: dict[str, str], path: Path | None) -> Source:
    """A Hugging Face model by its documents.

    Args:
        documents: the text of ``modules.json`` and ``README.md``, where there are any.
    """
    task = _card_task(documents.get("README.md", ""))
    if "modules.json" in documents:
        evidence = "its modules.json lists sentence-transformers' modules"
        return Source(location, "sentence_transformers", evidence, path, config, task)
    evidence = f"its config.json says model_type {config.get('model_type')!r}"
    return Source(location, "huggingface", evidence, path, config, task)


def _folder(path: Path) -> Source:
    location = str(path)
    if (path / "wrapper.py").is_file():
        return Source(location, "wrapper", "it holds a wrapper.py", path)
    if (path / "saved_model.pb").is_file():
        return Source(location, "saved_model", "it holds a saved_model.pb", path)
    versions = sorted(int(file.parent.name) for file in path.glob("*/saved_model.pb") if file.parent.name.isdecimal())
    if versions:
        latest = path / str(versions[-1])
        evidence = f"it is TensorFlow Serving's, and {versions[-1]} is the highest of its versions {versions}"
        return Source(str(latest), "saved_model", evidence, latest)
    if (path / "config.json").is_file():
        config = json_object(path / "config.json", "It was cut short; copy it again.")
        if "model_type" in config or "architectures" in config or (path / "modules.json").is_file():
            texts = {
                name: (path / name).read_text() for name in ("modules.json", "README.md") if (path / name).is_file()
            }
            return huggingface(location, config, texts, path)
        return Source(location, "unknown", "its config.json has neither model_type nor architectures", path)
    if (path / "modules.json").is_file():
        return huggingface(location, {}, {"modules.json": ""}, path)
    listed = ", ".join(sorted(child.name for child in path.iterdir())[:8]) or "nothing"
    return Source(
        location, "unknown", f"it holds no config.json, modules.json, saved_model.pb or wrapper.py, but {listed}", path
    )


def _file(path: Path) -> Source:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    for matches, read in _READERS:
        if matches(path, head):
            return read(path)
    shown = " ".join(f"{byte:02x}" for byte in head[:8])
    return Source(str(path), "unknown", f"its first bytes, {shown}, are those of no format that is known here", path)


def _zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError) as exc:
        raise ValueError(
            f"{path.name} begins as a zip archive and is none: {exc}. It was cut short; copy it again."
        ) from exc
    # torch puts everything into a folder that is named after the file.
    inner = {name.partition("/")[2] for name in names} | set(names)
    for format_, marks, evidence in _ARCHIVES:
        if all(any(mark in (name, name.partition("/")[0] + "/") for name in inner) for mark in marks):
            return Source(str(path), format_, evidence, path)
    listed = ", ".join(names[:5]) or "nothing"
    return Source(str(path), "unknown", f"it is a zip archive of {listed}, which is no model's", path)


#: A zip archive's format by names in it; a folder is written with its slash.
_ARCHIVES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("mar", ("MAR-INF/MANIFEST.json",), "it is a TorchServe archive: a zip with MAR-INF/MANIFEST.json"),
    ("keras", ("config.json", "metadata.json", "model.weights.h5"), "it is a zip with Keras's model.weights.h5"),
    ("torch_export", ("archive_format",), "it is a zip as torch.export writes it: it has archive_format"),
    ("torch_export", ("serialized_exported_program.json",), "it is a zip with torch.export's exported program"),
    ("torchscript", ("data.pkl", "constants.pkl", "code/"), "it is a zip with TorchScript's code/ and constants.pkl"),
    ("torch_pickle", ("data.pkl", "version"), "it is a zip with torch.save's data.pkl"),
    ("skops", ("schema.json",), "it is a zip with skops' schema.json"),
)


def _pickle(path: Path) -> Source:
    names = pickles.names_in(pickles.content(path))
    packages = sorted({name.partition(":")[0].partition(".")[0] for name in names})
    evidence = f"it is a pickle that names {', '.join(packages[:6])}" if packages else "it is a pickle"
    return Source(str(path), "pickle", evidence, path, names=names)


def _is_pickle(path: Path, head: bytes) -> bool:
    compressed = path.suffix in _PICKLE_ENDINGS and any(head.startswith(prefix) for prefix in pickles.COMPRESSED)
    # The oldest protocols begin with an opcode of text.
    old = path.suffix in _PICKLE_ENDINGS and re.match(rb"[(c\]}][\w\n(_.]", head) is not None
    return pickles.is_pickle(head) or compressed or old


def _is_onnx(path: Path, head: bytes) -> bool:
    return head[0] == 0x08 and head[1] < 0x80 and len(head) > 2 and head[2] in _ONNX_TAGS


def _known(format_: str, evidence: str) -> Callable[[Path], Source]:
    return lambda path: Source(str(path), format_, evidence, path)


#: In order: whether the first bytes are a format's, and how its source is read.
_READERS: tuple[tuple[Callable[[Path, bytes], bool], Callable[[Path], Source]], ...] = (
    (lambda path, head: head.startswith(b"PK"), _zip),
    (lambda path, head: head.startswith(_HDF5), _known("hdf5", "its first bytes are an HDF5 file's")),
    (
        lambda path, head: head.startswith(_OLD_TORCH),
        _known("torch_pickle", "its first bytes are those of torch.save before 1.6"),
    ),
    (_is_pickle, _pickle),
    (_is_onnx, _known("onnx", "its first bytes are an ONNX graph's")),
)


def _card_task(card: str) -> str | None:
    """``pipeline_tag`` of the model card's front matter."""
    match = re.search(r"^pipeline_tag:\s*[\"']?([\w-]+)", card.partition("---")[2].partition("\n---")[0], re.MULTILINE)
    return match[1] if match else None
