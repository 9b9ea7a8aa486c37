"""A TorchServe archive becomes a model of ours: its default handlers by a family, its own by an adapter."""

import importlib
import inspect
import json
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from deploy.project import model_families, wrapper_class
from deploy.sources.formats import read_source
from deploy.sources.recognition import recognise
from model_functions.artifact import sources
from model_functions.source_code import imported_by
from model_functions.torchserve import FORMS, HandlerWrapper
from model_functions.wrapper import ModelWrapper, check_trusted

MOST_FILES = 10_000
#: Bytes that an archive may unpack to, and how many times its own size.
MOST_BYTES = 64 * 2**30
MOST_GROWTH = 200
#: Growth that no archive is refused for.
_SMALL = 64 * 2**20

#: TorchServe's own handlers and the families that do the same.
DEFAULT_HANDLERS = {"image_classifier": "image_classification", "text_classifier": "text_classification"}
#: What image_classifier does to an image, in the words of the family: ImageNet's way.
_IMAGENET = {
    "size": (256, 256),
    "crop": (224, 224),
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}

_SHIMS = {
    "ts.torch_handler.base_handler": "from model_functions.engines.torch_handler import BaseHandler\n",
    "ts.utils.util": "from model_functions.engines.torch_handler import load_label_mapping, map_class_to_label\n",
    "ts.context": "from model_functions.engines.torch_handler import Context\n",
}


@dataclass(frozen=True)
class Archive:
    """An unpacked archive."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def handler(self) -> str:
        return str(self.manifest["model"].get("handler", ""))

    def file(self, key: str) -> Path | None:
        """The file that the manifest names under ``model``; it lies in the archive."""
        name = self.manifest["model"].get(key)
        return None if not name else self.folder / _safe(str(name), self.name)


def wrap(path: Path, *, family: str | None, example: Any, trusted: bool) -> tuple[ModelWrapper, str]:
    """The archive's model, and why it is of its family. Raises ValueError."""
    with TemporaryDirectory() as folder:
        archive = unpack(path, Path(folder))
        if archive.handler in DEFAULT_HANDLERS or (archive.folder / "config.json").is_file():
            return _by_family(archive, family, trusted=trusted)
        handler = archive.file("handler") if ":" not in archive.handler else None
        if handler is None or not handler.is_file():
            known = ", ".join(DEFAULT_HANDLERS)
            raise ValueError(
                f"{path.name} has the handler {archive.handler!r}, which is neither a file of the archive nor "
                f"one that a family replaces: {known}. Write a handler of your own, with BaseHandler, into the archive."
            )
        check_trusted(f"{path} (its {handler.name})", trusted=trusted)
        return _by_handler(archive, handler, family, example)


def unpack(path: Path, folder: Path) -> Archive:
    """Unpacks the archive into the folder. Raises ValueError for one that is broken or means harm."""
    try:
        with zipfile.ZipFile(path) as opened:
            _check_listing(opened, path)
            for entry in opened.infolist():
                _unpack_file(opened, entry, folder / _safe(entry.filename, path.name), path)
        manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
        if not isinstance(manifest["model"], dict):
            raise TypeError("model is no object")
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as exc:
        raise ValueError(f"{path.name} is no whole zip archive: {exc}. Copy it again.") from exc
    except FileNotFoundError as exc:
        raise ValueError(f"{path.name} has no MAR-INF/MANIFEST.json.") from exc
    except (json.JSONDecodeError, KeyError, TypeError) as exc:
        raise ValueError(f"{path.name}: its MAR-INF/MANIFEST.json tells no model: {exc}") from exc
    return Archive(path.name, folder, manifest)


def _check_listing(opened: zipfile.ZipFile, path: Path) -> None:
    entries = opened.infolist()
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_FILES:
        raise ValueError(f"{path.name} has {len(entries):,} files; the limit is {MOST_FILES:,}.")
    if size > min(MOST_BYTES, max(_SMALL, MOST_GROWTH * path.stat().st_size)):
        raise ValueError(f"{path.name} would unpack to {size:,} bytes, as no model does. It is not unpacked.")
    for entry in entries:
        _safe(entry.filename, path.name)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{path.name} has a symbolic link, {entry.filename}. It is not unpacked.")


def _unpack_file(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, path: Path) -> None:
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Python's reader stops at the listed size, whatever the stream holds.
    with opened.open(entry) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
    if target.stat().st_size != entry.file_size:
        raise ValueError(f"{path.name}: {entry.filename} is not as long as its listing says.")


def _safe(name: str, archive: str) -> str:
    """A name that stays inside the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise ValueError(f"{archive} has a file named {name!r}, which would lie outside of it. It is not unpacked.")
    return name


def _by_family(archive: Archive, family: str | None, *, trusted: bool) -> tuple[ModelWrapper, str]:
    """A Hugging Face model in the archive, or a network with the labels of a default handler."""
    if (archive.folder / "config.json").is_file():
        serialized = archive.file("serializedFile")
        weights = archive.folder / "pytorch_model.bin"
        if serialized is not None and serialized.suffix == ".bin" and not weights.exists():
            serialized.rename(weights)
        found = recognise(read_source(str(archive.folder)))
        cls = wrapper_class(family or found.family)
        return cls.from_source(str(archive.folder)), f"{archive.name} holds a Hugging Face model: {found.reason}"
    family = family or DEFAULT_HANDLERS[archive.handler]
    if family not in model_families():
        raise ValueError(f"{archive.name} has the handler {archive.handler}, and this project has no family {family}.")
    make = getattr(wrapper_class(family), "from_module", None)
    labels = archive.folder / "index_to_name.json"
    if archive.handler != "image_classifier" or make is None or not labels.is_file():
        raise ValueError(
            f"{archive.name} has the handler {archive.handler} and neither a Hugging Face model nor a network with an "
            "index_to_name.json. Write a handler of your own, with BaseHandler, into the archive."
        )
    from model_functions.engines.torch_handler import BaseHandler, Context

    if archive.file("modelFile") is None:
        raise ValueError(
            f"{archive.name} holds its network as TorchScript, which {family} does not take. Archive it again with "
            "--model-file and its state dict, or with a handler of your own."
        )
    check_trusted(f"{archive.name} (its network)", trusted=trusted)
    handler = _default_handler(archive, BaseHandler)
    handler.initialize(Context(archive.manifest, str(archive.folder)))
    mapping = json.loads(labels.read_text())
    names = [mapping[str(index)] for index in range(len(mapping))]
    flat = [name[-1] if isinstance(name, list) else str(name) for name in names]
    return make(handler.model, flat, **_IMAGENET), f"its handler {archive.handler} does what this family does"


def _default_handler(archive: Archive, base: type[Any]) -> Any:
    """A base handler that finds the archive's own modules."""
    package = sources.install(_modules(archive))
    return type("Handler", (base,), {"__module__": f"{package}.handler"})()


def _by_handler(archive: Archive, handler: Path, family: str | None, example: Any) -> tuple[ModelWrapper, str]:
    family = family or "pytorch"
    if family not in model_families():
        raise ValueError(
            f"{archive.name} brings {handler.name}, which the family {family} would serve, and this project has none. "
            f"Say --family: {', '.join(model_families())}."
        )
    from model_functions.engines.torch_handler import Context

    context = Context(archive.manifest, str(archive.folder))
    package = sources.install(_modules(archive))
    try:
        module = importlib.import_module(f"{package}.{handler.stem}")
        made = _handler_class(module, handler.name)()
        made.initialize(context)
    except Exception as exc:
        raise ValueError(f"{archive.name}: {handler.name} cannot be started: {type(exc).__name__}: {exc}") from exc
    _forget_folder(made, str(archive.folder))
    _forget_folder(context, str(archive.folder))
    kind = "text" if isinstance(example, str) else "json"
    failures = []
    for form in FORMS:
        wrapper = HandlerWrapper(made, context, family, form, kind=kind)
        try:
            wrapper.predict(example)
        except Exception as exc:  # noqa: BLE001 - it may raise anything when it is called wrongly
            failures.append(f"{type(exc).__name__}: {str(exc)[:200]}")
        else:
            return (
                wrapper,
                f"{archive.name} brings the handler {type(made).__name__}, which gets its requests as {form}",
            )
    raise ValueError(
        f"{archive.name}: {handler.name} does not answer the example. Give one that it takes with --example. It says: "
        + "; ".join(failures)
    )


def _modules(archive: Archive) -> dict[str, bytes]:
    """Every Python file at the archive's top, and what stands for TorchServe's own modules."""
    own = {file.stem: file.read_bytes() for file in sorted(archive.folder.glob("*.py"))}
    for stem, data in own.items():
        try:
            imported_by(data)
        except SyntaxError as exc:
            raise ValueError(f"{archive.name}: {stem}.py is no Python: {exc}") from exc
    return {name.replace(".", sources.DOT): text.encode() for name, text in _SHIMS.items()} | own


def _handler_class(module: Any, name: str) -> type[Any]:
    classes = [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__ and hasattr(cls, "initialize")
    ]
    with_handle = [cls for cls in classes if hasattr(cls, "handle")]
    if len(with_handle) != 1:
        raise ValueError(f"{name} has {len(with_handle)} classes with initialize and handle. One is wanted.")
    return with_handle[0]


def _forget_folder(holder: Any, folder: str) -> None:
    """Takes the temporary folder out of what the handler remembers: two publications are then the same."""
    values = holder if isinstance(holder, dict) else vars(holder)
    for key, value in list(values.items()):
        if isinstance(value, str | Path) and str(value).startswith(folder):
            values[key] = type(value)(str(value).replace(folder, "model_dir", 1))
        elif isinstance(value, dict):
            _forget_folder(value, folder)
