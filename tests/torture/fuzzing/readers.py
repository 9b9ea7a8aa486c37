"""What is fuzzed: each reader by its name, with what it may raise and what must hold of what it lets through."""

import gzip
import hashlib
import io
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_functions import errors
from model_functions.artifact.download import Download
from model_functions.artifact.manifest import REVISION_LENGTH, FileEntry, Manifest, WeightsLayout
from model_functions.artifact.region import Region
from model_functions.artifact.signing import Trust, canonical
from model_functions.artifact.signing_key import SigningKey
from model_functions.artifact.weights import Buffer, WeightsWriter
from model_functions.engines import pillow
from model_functions.http.body import MAX_DEPTH, parse_json, read_json
from model_functions.http.form import read_form
from model_functions.http.message import Request
from model_functions.http.protocols.inference import InferQuestion, _array
from model_functions.http.protocols.inference_request import read_infer
from model_functions.http.protocols.tensor_bytes import to_bytes
from model_functions.repository import Pointer, Repository
from tests.torture.fuzzing.memory_store import MemoryStore

#: Bytes of a body, and of what it is unpacked to.
LIMIT = 1024 * 1024

KEY = SigningKey.generate()
TRUST = Trust([KEY.trusted("the fuzzer")])


@dataclass(frozen=True)
class Reader:
    """One reader.

    Args:
        read: takes the bytes.
        declared: what it may raise.
        is_json: whether most of the bytes are a JSON document, to be changed as such.
    """

    read: Callable[[bytes], None]
    declared: tuple[type[BaseException], ...]
    is_json: bool = False


_CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", bytes),
    ("identity", bytes),
    ("gzip", bytes),
    ("gzip", lambda data: gzip.compress(data, 1)),
    ("x-gzip", lambda data: gzip.compress(data, 1)[:-1]),
    ("deflate", bytes),
    ("deflate", lambda data: zlib.compress(data, 1)),
    ("br", bytes),
]


def read_body(data: bytes) -> None:
    """JSON in any coding. The first byte chooses the coding, and whether the length is told, and told right."""
    choice, body = (data[0], data[1:]) if data else (0, b"")
    coding, encoded = _CODINGS[choice % len(_CODINGS)]
    sent = encoded(body)
    headers = {"content-type": "application/json", "content-encoding": coding}
    length = [None, len(sent), len(sent) + 1, "x" * 30][choice // len(_CODINGS) % 4]
    if length is not None:
        headers["content-length"] = str(length)
    value = read_json(_request(sent, headers), LIMIT, constants=bool(choice & 128))
    _check_json(value)


def _check_json(value: Any) -> None:
    spelled = json.dumps(value, ensure_ascii=False).encode()
    assert _depth(value) <= MAX_DEPTH, "nested deeper than is admitted"
    if b"NaN" not in spelled and b"Infinity" not in spelled:
        assert parse_json(spelled) == value, "another value when it is read again"


def _depth(value: Any) -> int:
    levels, current = 0, [value]
    while containers := [one for one in current if isinstance(one, list | dict)]:
        levels += 1
        current = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    return levels


def read_manifest(data: bytes) -> None:
    """A document as it stands, whose signature must never count; and its content, signed by a key that counts."""
    for kind in ("manifest", "alias"):
        try:
            TRUST.verify(kind, data)
        except (errors.ManifestInvalid, errors.SignatureRefused):
            continue
        raise AssertionError(f"an unsigned {kind} was believed")
    try:
        document = json.loads(data)
        names = [document[name] for name in ("family", "name")]
        revision = hashlib.sha256(canonical(document)).hexdigest()[:REVISION_LENGTH]
    except (ValueError, RecursionError, TypeError, KeyError) as exc:
        raise errors.ManifestInvalid("nothing that could be signed") from exc
    if not all(isinstance(name, str) for name in names):
        raise errors.ManifestInvalid("nothing that could be looked for")
    family, name = names
    if "serial" in document:
        aliases = _repository(f"{family}/{name}/aliases/prod.json", "alias", document)
        _check_pointer(aliases.resolve(family, name, "prod"))
    else:
        repository = _repository(f"{family}/{name}/revisions/{revision}/manifest.json", "manifest", document)
        _check_manifest(repository.manifest(family, name, revision), document)


def _repository(name: str, kind: str, document: dict[str, Any]) -> Repository:
    return Repository(MemoryStore({name: KEY.sign(kind, document)}), TRUST)


def _check_pointer(pointer: Pointer) -> None:
    """Uses it as a load and the next publisher do."""
    assert (pointer.alias, type(pointer.serial)) == ("prod", int)
    assert all(isinstance(revision, str) for revision in (pointer.revision, pointer.manifest, *pointer.previous))


def _check_manifest(manifest: Manifest, document: dict[str, Any]) -> None:
    """Uses it as a load does, up to the bytes."""
    assert json.loads(json.dumps(manifest.document())) == document
    for lane in manifest.lanes:
        assert lane.wrapper in manifest.files
        assert not lane.weights or lane.weights in manifest.files
        assert min(lane.memory.runtime, lane.memory.load, lane.memory.model) >= 0
    for file in manifest.files_here():
        entry = manifest.files[file]
        assert len(entry.chunks) == math.ceil(entry.size / entry.chunk_size)
        if entry.chunks:
            entry.proves(memoryview(b""), 0)
    manifest.check_environment()


def read_weights(data: bytes) -> None:
    """A file of weights, laid out as a signed document says, must arrive as it would in one piece."""
    if len(data) < 16:
        return
    numbers = [int.from_bytes(data[place : place + 4], "little") for place in (0, 4, 8)]
    file = data[16:]
    layout, chunk_size = WeightsLayout(numbers[0], numbers[1]), 1 + numbers[2] % (2 * len(file) + 1)
    _check_written(file, data[12])
    document = WEIGHTS_DOCUMENT | {
        "weights": asdict(layout),
        "files": {
            "wrapper.dill": asdict(FileEntry.of(b"x")),
            "weights.safetensors": asdict(FileEntry.of(file, chunk_size)),
        },
    }
    manifest = Manifest.from_document(json.loads(json.dumps(document)))
    store = MemoryStore({"weights": file})
    arrived = Download(store, "weights", manifest.files["weights.safetensors"], manifest.weights).wait()
    whole = Region.of(file, manifest.weights)
    start, end = layout.start, layout.start + 2 * layout.half
    # A NaN may become another one by itself than among others: the processor widens several at once.
    one, other = (np.frombuffer(region.memory[start:end], np.float32) for region in (arrived, whole))
    assert np.array_equal(one, other, equal_nan=True), "chunks are widened to something else than the whole"
    others = [bytes(region.memory[:start]) + bytes(region.memory[end:]) for region in (arrived, whole)]
    assert others[0] == others[1] == file[:start] + file[start + layout.half :]


def _check_written(data: bytes, cut: int) -> None:
    """What is written is valid safetensors, by their own reader, and comes back as it was."""
    from safetensors import deserialize

    writer, parts = (
        WeightsWriter(),
        [data[start : start + cut + 1] for start in range(0, min(len(data), 2048), cut + 1)],
    )
    places = [writer.add(Buffer(memoryview(part))) for part in parts]
    file, layout = writer.file()
    region = Region.of(file, layout)
    assert [bytes(region.view(*place)) for place in places] == parts
    # Of nothing no file is written.
    assert len(deserialize(file)) >= len(parts) if parts else not file  # type: ignore[no-untyped-call]


def read_tensors(data: bytes) -> None:
    """A request of tensors: the JSON's length, the JSON, then their bytes. Each array is written and read again."""
    told, _, body = data.partition(b"\n")
    headers = {"content-type": "application/octet-stream", "content-length": str(len(body))}
    if told:
        headers["inference-header-content-length"] = told.decode("latin-1").strip()
    question: InferQuestion = read_infer(_request(body, headers), LIMIT)
    for asked in question.data if isinstance(question.data, list) else []:
        array = _array(asked)
        assert list(array.shape) == asked.shape
        if isinstance(asked.data, memoryview) and asked.datatype not in ("BOOL", "BF16"):
            assert bytes(to_bytes(array, asked.datatype)) == bytes(asked.data), (
                "other bytes when they are written again"
            )


def read_parts(data: bytes) -> None:
    """A form: its boundary, then its body."""
    boundary, _, body = data.partition(b"\n")
    for part in read_form(body, f"multipart/form-data; boundary={boundary.decode('latin-1')}"):
        assert len(part.data) <= len(body)


def read_image(data: bytes) -> None:
    """A picture, of which no more than a few pixels are admitted."""
    image = pillow.decoded(data, "data", grey=bool(data[-1:] > b"\x7f"), max_pixels=100_000)
    assert image.size[0] * image.size[1] <= 100_000


def _request(body: bytes, headers: dict[str, str]) -> Request:
    return Request(method="POST", path="/", query=[], headers=headers, read=io.BytesIO(body).read, target_length=1)


WEIGHTS_DOCUMENT: dict[str, Any] = {
    "family": "tabular",
    "name": "wine",
    "description": "",
    "wrapper": "model_functions.families.tabular:TabularWrapper",
    "engine": {"name": "sklearn", "precision": "native", "tolerance": 0.0},
    "memory": {"runtime": 1, "load": 1, "model": 1},
    "weights": {"start": 0, "half": 0},
    "python": "3.11",
    "packages": {},
    "files": {"wrapper.dill": asdict(FileEntry.of(b"x"))},
    "globals": [],
    "interface": {},
    "examples": [],
    "provenance": {"source": {}, "commit": None, "dirty": False, "training": {}},
    "faster": [],
    "version": 5,
}

READERS = {
    "body": Reader(
        read_body,
        (errors.InvalidRequest, errors.InvalidInput, errors.PayloadTooLarge, errors.UnsupportedMediaType),
        is_json=True,
    ),
    "manifest": Reader(read_manifest, (errors.ArtifactRefused, errors.ModelNotFound), is_json=True),
    "weights": Reader(read_weights, (errors.ArtifactRefused,)),
    "tensors": Reader(
        read_tensors,
        (errors.InvalidRequest, errors.InvalidInput, errors.PayloadTooLarge, errors.UnsupportedMediaType),
        is_json=True,
    ),
    "form": Reader(read_parts, (errors.InvalidRequest, errors.PayloadTooLarge)),
    "image": Reader(read_image, (errors.InvalidInput,)),
}
