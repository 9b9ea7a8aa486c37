"""The signed list of what a revision is made of, what it needs, and what it takes."""

import hashlib
import importlib.metadata
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

from blake3 import blake3

from model_functions import processor
from model_functions.artifact.document import read
from model_functions.artifact.signing import canonical
from model_functions.errors import ManifestInvalid, PackageMismatch, PythonMismatch

#: Layout of manifest.json. When it changes: add one, keep a reader for the old number here, and
#: add an old file to tests/shared/artifact/data/.
MANIFEST_VERSION = 5

#: Before version 5 an engine's precision was that of its weights in the store, under other words.
_STORED_WORDS = {"fp32": "float32", "fp16": "float16"}
_WORDS_OF_STORED = {stored: word for word, stored in _STORED_WORDS.items()}

WRAPPER_FILE = "wrapper.dill"
WEIGHTS_FILE = "weights.safetensors"
#: What the examples were answered when they were published: for who verifies, and who takes up a new revision.
PREDICTIONS_FILE = "predictions.json"

#: Of the Python modules among a revision's files; each is ``source/<package>/<module>.py``.
SOURCES_FOLDER = "source/"

#: Bytes that are fetched, and verified, at a time.
CHUNK_SIZE = 4 * 1024 * 1024

#: What digests chunks: BLAKE3 in a quarter of SHA-256's time, which is what it was before version 3.
DIGESTS: dict[str, Callable[[memoryview], Any]] = {"blake3": blake3, "sha256": hashlib.sha256}


@dataclass(frozen=True)
class FileEntry:
    """One object of the revision.

    Args:
        size: bytes.
        chunks: the digest of each ``chunk_size`` bytes, in order; the last chunk may be shorter.
        digest: one of DIGESTS.
    """

    size: int
    chunk_size: int
    chunks: tuple[str, ...]
    digest: str = "blake3"

    @classmethod
    def of(cls, data: bytes, chunk_size: int = CHUNK_SIZE) -> Self:
        view = memoryview(data)
        starts = range(0, len(data), chunk_size)
        digests = (blake3(view[start : start + chunk_size]).hexdigest() for start in starts)
        return cls(len(data), chunk_size, tuple(digests))

    def is_whole(self) -> bool:
        """Whether the chunks' digests are as many as the size says, and of a kind that can be told here."""
        sized = self.size >= 0 and self.chunk_size > 0 and len(self.chunks) == -(-self.size // self.chunk_size)
        return sized and self.digest in DIGESTS

    def proves(self, chunk: memoryview, index: int) -> bool:
        """Whether these are the bytes that were published."""
        found: str = DIGESTS[self.digest](chunk).hexdigest()
        return found == self.chunks[index]


@dataclass(frozen=True)
class WeightsLayout:
    """How weights.safetensors becomes memory.

    Args:
        start: bytes before the data.
        half: bytes of data, from its start on, that are float16 here and float32 in memory.
    """

    start: int
    half: int

    def fits(self, entry: FileEntry) -> bool:
        """Whether the file can lie so, and each chunk of it be placed by itself."""
        # A float16 in two chunks would be widened in two halves.
        whole = not self.half or (self.start % 2 == self.half % 2 == entry.chunk_size % 2 == 0)
        return whole and self.start >= 0 and self.half >= 0 and self.start + self.half <= entry.size

    def memory_size(self, file_size: int) -> int:
        """Bytes in memory, the header included."""
        return file_size + self.half

    def memory_offset(self, offset: int) -> int:
        """Where the file's byte at ``offset`` comes to lie; for a widened one, where its widened form does."""
        into = offset - self.start
        return offset + min(max(into, 0), self.half)


@dataclass(frozen=True)
class EngineRecord:
    """What runs the model, and how far its answers may be from those of the engine it was published from.

    Args:
        name: ``torch``, ``onnxruntime``, ``openvino``, ``sklearn`` or ``tensorflow``.
        precision: in which it computes: ``fp32``, ``bf16``, ``int8``; in single precision with weights that were
            rounded: ``fp16``, ``int8-weights``; ``native``: in whatever the model's maker chose.
        tolerance: how far a number may be from that engine's, in parts of the largest; 0 means equal.
    """

    name: str
    precision: str = "native"
    tolerance: float = 0.0


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that an instance must have, as admission counts them.

    Args:
        runtime: the process with the engine imported, which all models of an engine share.
        load: at most while the model is loaded, beyond ``runtime``.
        model: what stays of it afterwards.
    """

    runtime: int
    load: int
    model: int


@dataclass(frozen=True)
class LaneRecord:
    """One way of running the model.

    Args:
        wrapper, weights: the names of its files within the revision; no weights: "".
        layout: of the weights.
        packages, globals: as the manifest's.
    """

    engine: EngineRecord
    memory: MemoryNeed
    wrapper: str
    weights: str
    layout: WeightsLayout
    packages: dict[str, str]
    globals: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, for people: nothing that loads it depends on any of this.

    Args:
        source: the format and the SHA-256 of what was published; empty for an object from Python.
        commit: of the Git tree that the publisher stood in; None outside of one.
        dirty: whether that tree held changes that no commit has.
        training: what the training says of itself: ``note``, and the fields of its ``training.json``.
    """

    source: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool = False
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """One published, immutable artifact.

    Args:
        wrapper: ``module:class`` of the wrapper.
        weights: the layout of weights.safetensors, where the revision has one.
        memory: an estimate from the sizes, so that the same model gives the same manifest.
        python: the minor version whose bytecode and pickles these are, as ``3.11``.
        packages: version of each package that the stream names classes of.
        files: by name within the revision.
        globals: every ``module:name`` that the stream may import.
        interface: what a caller may send (ModelWrapper.interface).
        examples: data that the model takes; the first is the sample that warm-up predicts.
        faster: other ways of running the model, the fastest first, each for processors that compute in its precision;
            ``engine``, ``memory``, ``weights``, ``packages`` and ``globals`` are of the way that any processor can go.
    """

    family: str
    name: str
    description: str
    wrapper: str
    engine: EngineRecord
    memory: MemoryNeed
    weights: WeightsLayout
    python: str
    packages: dict[str, str]
    files: dict[str, FileEntry]
    globals: tuple[str, ...]
    interface: dict[str, Any]
    examples: list[Any]
    provenance: Provenance = field(default_factory=Provenance)
    faster: tuple[LaneRecord, ...] = ()
    version: int = MANIFEST_VERSION

    @property
    def lanes(self) -> tuple[LaneRecord, ...]:
        """Every way of running the model, the fastest first."""
        weights = WEIGHTS_FILE if WEIGHTS_FILE in self.files else ""
        plain = LaneRecord(self.engine, self.memory, WRAPPER_FILE, weights, self.weights, self.packages, self.globals)
        return *self.faster, plain

    @cached_property
    def here(self) -> LaneRecord:
        """The way that this machine's processor goes."""
        return next((lane for lane in self.faster if processor.computes(lane.engine.precision)), self.lanes[-1])

    @property
    def all_packages(self) -> dict[str, str]:
        """What instances of any processor need."""
        return {name: version for lane in self.lanes for name, version in lane.packages.items()}

    def files_here(self) -> list[str]:
        """What is read to serve the model on this machine."""
        others = {file for lane in self.lanes for file in (lane.wrapper, lane.weights)}
        own = {self.here.wrapper, self.here.weights}
        return [file for file in self.files if file != PREDICTIONS_FILE and (file in own or file not in others)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, computed once, for each answer tells it.

        A signature is not part of it, so that a new key changes no digest.
        """
        return hashlib.sha256(canonical(self.document())).hexdigest()

    @property
    def revision(self) -> str:
        return self.digest[:REVISION_LENGTH]

    def document(self) -> dict[str, Any]:
        """As it is signed: a manifest that was read in an older version stays in that version."""
        document = asdict(self)
        if self.version < 5:
            del document["faster"]
            document["engine"]["precision"] = _STORED_WORDS.get(self.engine.precision, "float32")
        if self.version < 4:
            del document["provenance"]
        if self.version < 3:
            for entry in document["files"].values():
                del entry["digest"]
        if self.version == 1:
            for name in _missing_in_version_1(document):
                del document[name]
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Raises ManifestInvalid for another layout."""
        version = document.get("version")
        if type(version) is not int or not 1 <= version <= MANIFEST_VERSION:
            raise ManifestInvalid(
                f"The manifest has version {version}; this function reads {MANIFEST_VERSION}. "
                "Publish the model again, or stage the function again from a newer tree."
            )
        try:
            manifest = read(cls, _in_todays_words(document, version))
            manifest._check()
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ManifestInvalid(
                "The manifest's fields are not those of its version. Publish the model again."
            ) from exc
        return manifest

    def _check(self) -> None:
        """Raises ValueError where its numbers and names contradict each other."""
        if not all(map(_is_file_name, self.files)) or not all(entry.is_whole() for entry in self.files.values()):
            raise ValueError("files")
        for lane in self.lanes:
            if lane.wrapper not in self.files or lane.weights not in {"", *self.files}:
                raise ValueError("faster")
            if min(asdict(lane.memory).values()) < 0 or not 0 <= lane.engine.tolerance < math.inf:
                raise ValueError("memory")
            if lane.weights and not lane.layout.fits(self.files[lane.weights]):
                raise ValueError("weights")

    def check_environment(self) -> None:
        """Refuses an artifact that was made for another interpreter or other packages."""
        here = python_minor()
        if self.python != here:
            raise PythonMismatch(
                f"{self.name} was published with Python {self.python}; this function runs {here}. Publish it "
                f"again with Python {here}, or deploy the function with --runtime=python{self.python.replace('.', '')}."
            )
        for package, version in self.here.packages.items():
            found = installed_version(package)
            if found is None:
                raise PackageMismatch(
                    f"{self.name} needs {package} {version}, which is not installed. "
                    f"Add {package}=={version} to the function's requirements.txt."
                )
            if _minor(found) != _minor(version):
                raise PackageMismatch(
                    f"{self.name} was published with {package} {version}; this function has {found}. Publish it "
                    f"again with {package} {found}, or put {package}=={version} into the function's requirements.txt."
                )


def _in_todays_words(document: dict[str, Any], version: int) -> dict[str, Any]:
    values = dict(document)
    if version == 1:
        values |= _missing_in_version_1(values)
    if version < 3:
        values["files"] = {name: entry | {"digest": "sha256"} for name, entry in values["files"].items()}
    if version < 4:
        values["provenance"] = asdict(Provenance())
    if version < 5:
        values["faster"] = ()
        precision = values["engine"]["precision"]
        values["engine"] = values["engine"] | {"precision": _WORDS_OF_STORED.get(precision, precision)}
    return values


def _is_file_name(name: str) -> bool:
    # A dot segment would lead out of the revision.
    return name.isprintable() and not {"", ".", ".."} & set(name.split("/"))


def _missing_in_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """What a manifest did not yet say: its one file held the weights too, and was loaded from a copy."""
    size = sum(entry["size"] for entry in values["files"].values())
    name = "sklearn" if values["family"] == "tabular" else "torch"
    memory = MemoryNeed(runtime=400 * 2**20, load=3 * size, model=2 * size)
    engine = EngineRecord(name, "float32")
    return {"engine": asdict(engine), "memory": asdict(memory), "weights": asdict(WeightsLayout(0, 0))}


REVISION_LENGTH = 12

_INSTALLED = re.compile(r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9.!+_]+)\.dist-info")


def python_minor() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def installed_version(package: str) -> str | None:
    try:
        version = _versions().get(_normalized(package)) or importlib.metadata.version(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):  # ValueError: that is no name at all
        return None
    # A local build tag, as in 2.13.0+cpu, names the wheel and not the code.
    return version.partition("+")[0]


@cache
def _versions() -> dict[str, str]:
    """Installed versions by the names of their folders: to parse all that a package says of itself takes long."""
    folders = (name for path in reversed(sys.path) if Path(path).is_dir() for name in os.listdir(path or "."))  # noqa: PTH208 - names, not paths
    found = (_INSTALLED.fullmatch(name) for name in folders)
    return {_normalized(match["name"]): match["version"] for match in found if match}


def _normalized(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
