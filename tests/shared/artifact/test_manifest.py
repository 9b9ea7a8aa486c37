import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_functions import processor
from model_functions.artifact.manifest import (
    PREDICTIONS_FILE,
    WEIGHTS_FILE,
    WRAPPER_FILE,
    EngineRecord,
    FileEntry,
    LaneRecord,
    Manifest,
    MemoryNeed,
    Provenance,
    WeightsLayout,
    installed_version,
    python_minor,
)
from model_functions.errors import ManifestInvalid, PackageMismatch, PythonMismatch

DATA = Path(__file__).parent / "data"
MANIFEST = Manifest(
    family="tabular",
    name="wine",
    description="",
    wrapper="module:Class",
    engine=EngineRecord("sklearn"),
    memory=MemoryNeed(1, 2, 3),
    weights=WeightsLayout(4096, 64),
    python=python_minor(),
    packages={"dill": installed_version("dill") or ""},
    files={"wrapper.dill": FileEntry.of(b"x" * 10, chunk_size=4)},
    globals=("a:b",),
    interface={"kind": "row"},
    examples=[[1, 2]],
)


def test_a_document_comes_back() -> None:
    assert Manifest.from_document(MANIFEST.document()) == MANIFEST


def test_chunks_cover_the_file() -> None:
    entry = MANIFEST.files["wrapper.dill"]
    assert (entry.size, len(entry.chunks)) == (10, 3)
    assert entry.chunks[0] == entry.chunks[1] != entry.chunks[2]


def test_the_revision_is_the_start_of_the_digest_and_of_nothing_else() -> None:
    assert MANIFEST.digest.startswith(MANIFEST.revision)
    assert len(MANIFEST.revision) == 12
    assert replace(MANIFEST, name="beer").revision != MANIFEST.revision


def test_another_version_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match="has version 6; this function reads 5"):
        Manifest.from_document(MANIFEST.document() | {"version": 6})


def test_a_manifest_of_version_1_is_read_and_keeps_its_revision() -> None:
    document = json.loads((DATA / "manifest_v1.json").read_text())
    manifest = Manifest.from_document(document)
    assert json.loads(json.dumps(manifest.document())) == document
    assert manifest.revision == "551058d79de6"
    assert manifest.engine == EngineRecord("sklearn", "fp32")
    assert manifest.memory.load == 3 * 10


@pytest.mark.parametrize("version", [1, 2])
def test_digests_of_older_versions_are_sha_256(version: int) -> None:
    document = json.loads((DATA / f"manifest_v{version}.json").read_text())
    manifest = Manifest.from_document(document)
    assert json.loads(json.dumps(manifest.document())) == document
    entry = manifest.files["wrapper.dill"]
    assert entry.proves(memoryview(b"xxxx"), 0)
    assert not entry.proves(memoryview(b"xxxy"), 0)


def test_a_manifest_of_version_2_keeps_its_revision() -> None:
    assert Manifest.from_document(json.loads((DATA / "manifest_v2.json").read_text())).revision == "71f60ceeab72"


def test_a_manifest_of_version_3_keeps_its_revision_and_has_no_provenance() -> None:
    document = json.loads((DATA / "manifest_v3.json").read_text())
    manifest = Manifest.from_document(document)
    assert json.loads(json.dumps(manifest.document())) == document
    assert manifest.revision == "670684853508"
    assert manifest.provenance == Provenance()


def test_a_manifest_of_version_4_says_its_precision_in_the_words_of_today() -> None:
    document = json.loads((DATA / "manifest_v4.json").read_text())
    manifest = Manifest.from_document(document)
    assert json.loads(json.dumps(manifest.document())) == document
    assert manifest.revision == "8099195c6bfc"
    assert manifest.engine == EngineRecord("onnxruntime", "fp16", 2e-3)
    assert [lane.engine for lane in manifest.lanes] == [manifest.engine]


def with_bf16() -> Manifest:
    """The manifest with a faster lane for processors that compute in bf16."""
    files = {name: FileEntry.of(b"x" * 5000) for name in ("bf16/wrapper.dill", "bf16/weights.safetensors")}
    files |= {
        name: FileEntry.of(b"y" * 5000) for name in (WRAPPER_FILE, WEIGHTS_FILE, PREDICTIONS_FILE, "source/a/b.py")
    }
    engine = EngineRecord("openvino", "bf16", 2e-2)
    wrapper, weights = "bf16/wrapper.dill", "bf16/weights.safetensors"
    faster = LaneRecord(engine, MemoryNeed(4, 5, 6), wrapper, weights, WeightsLayout(2, 2), {"dill": "9.9"}, ("c:d",))
    return replace(MANIFEST, files=files, faster=(faster,))


@pytest.mark.parametrize(
    ("native", "precision", "files"),
    [
        ({"bf16"}, "bf16", ["bf16/wrapper.dill", "bf16/weights.safetensors", "source/a/b.py"]),
        (set(), "native", [WRAPPER_FILE, WEIGHTS_FILE, "source/a/b.py"]),
    ],
)
def test_the_processor_chooses_the_lane_and_its_files(
    native: set[str], precision: str, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "native", lambda cap: native)
    manifest = with_bf16()
    assert manifest.here.engine.precision == precision
    assert manifest.files_here() == files


def test_the_packages_of_the_lane_here_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "native", lambda cap: set())
    with_bf16().check_environment()
    monkeypatch.setattr(processor, "native", lambda cap: {"bf16"})
    with pytest.raises(PackageMismatch, match=r"published with dill 9\.9"):
        with_bf16().check_environment()


def test_a_manifest_with_faster_lanes_comes_back() -> None:
    manifest = with_bf16()
    again = Manifest.from_document(json.loads(json.dumps(manifest.document())))
    assert (again.faster, again.revision) == (manifest.faster, manifest.revision)


def test_missing_and_unknown_fields_are_refused() -> None:
    document = MANIFEST.document()
    for broken in (document | {"surprise": 1}, {k: v for k, v in document.items() if k != "python"}):
        with pytest.raises(ManifestInvalid, match="fields are not those of its version"):
            Manifest.from_document(broken)


def broken(document: Any, place: str, value: Any) -> Any:
    """The document with another value at a place such as ``files/wrapper.dill/size``."""
    first, _, rest = place.partition("/")
    return document | {first: broken(document[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", None),
        ("version", True),
        ("version", "5"),
        ("files", []),
        ("files", {}),
        ("files", {"../wrapper.dill": {}}),
        ("files/wrapper.dill", None),
        ("files/wrapper.dill/size", "10"),
        ("files/wrapper.dill/size", -1),
        ("files/wrapper.dill/size", 13),
        ("files/wrapper.dill/size", 10.0),
        ("files/wrapper.dill/chunk_size", 0),
        ("files/wrapper.dill/chunks", "abc"),
        ("files/wrapper.dill/chunks", [1, 2, 3]),
        ("files/wrapper.dill/digest", "crc32"),
        ("memory", {"runtime": 1, "load": 2}),
        ("memory/load", -1),
        ("memory/load", True),
        ("engine/tolerance", float("inf")),
        ("weights/start", None),
        ("packages", {"dill": 1}),
        ("globals", "a:b"),
        ("provenance/commit", 5),
        ("faster", [{}]),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_refused(place: str, value: Any) -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.from_document(broken(json.loads(json.dumps(MANIFEST.document())), place, value))


@pytest.mark.parametrize("name", ["../x", "/x", "x/", "a//b", "a/./b", "a\0b", ""])
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    document = MANIFEST.document()
    with pytest.raises(ManifestInvalid):
        Manifest.from_document(document | {"files": document["files"] | {name: document["files"]["wrapper.dill"]}})


@pytest.mark.parametrize("layout", [(-2, 0), (0, -2), (4998, 4), (1, 2), (0, 3)])
def test_weights_that_cannot_lie_as_the_manifest_says_are_refused(layout: tuple[int, int]) -> None:
    manifest = replace(with_bf16(), weights=WeightsLayout(*layout))
    with pytest.raises(ManifestInvalid):
        Manifest.from_document(manifest.document())


@pytest.mark.parametrize(("version", "field"), [(1, "files"), (2, "files"), (3, "engine"), (4, "engine")])
def test_old_manifests_without_what_they_had_are_refused(version: int, field: str) -> None:
    document = json.loads((DATA / f"manifest_v{version}.json").read_text())
    for value in (None, [1], {"x": 1}):
        with pytest.raises(ManifestInvalid):
            Manifest.from_document(document | {field: value})


def test_this_environment_is_fit() -> None:
    MANIFEST.check_environment()


def test_another_python_is_refused_with_both_ways_out() -> None:
    with pytest.raises(PythonMismatch) as caught:
        replace(MANIFEST, python="3.9").check_environment()
    here = python_minor()
    assert caught.value.message == (
        f"wine was published with Python 3.9; this function runs {here}. Publish it again with Python {here}, "
        "or deploy the function with --runtime=python39."
    )


def test_a_missing_package_is_named_with_its_pin() -> None:
    with pytest.raises(PackageMismatch) as caught:
        replace(MANIFEST, packages={"no-such-package": "1.2.3"}).check_environment()
    assert caught.value.message == (
        "wine needs no-such-package 1.2.3, which is not installed. "
        "Add no-such-package==1.2.3 to the function's requirements.txt."
    )


def test_what_is_no_packages_name_is_not_installed() -> None:
    with pytest.raises(PackageMismatch, match="which is not installed"):
        replace(MANIFEST, packages={"": "1.0"}).check_environment()


def test_another_minor_version_of_a_package_is_refused() -> None:
    with pytest.raises(PackageMismatch, match=r"was published with dill 0\.1\.0; this function has 0\.4"):
        replace(MANIFEST, packages={"dill": "0.1.0"}).check_environment()


def test_another_patch_of_a_package_is_fit() -> None:
    replace(MANIFEST, packages={"dill": "0.4.99"}).check_environment()
