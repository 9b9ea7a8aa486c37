"""The model that answers its own version, in the place's bucket: good revisions of it, and bad ones."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.sources.own_wrapper import load_class
from model_functions.artifact.manifest import PREDICTIONS_FILE, WRAPPER_FILE, FileEntry, Manifest
from model_functions.artifact.signing import canonical
from tests.torture.load import Answer
from tests.torture.place import Place

NAME = "versioned"
EXAMPLE = "which"
_SOURCE = Path(__file__).parent / "models" / "versioned.py"


def publish_versions(place: Place, count: int) -> dict[int, Manifest]:
    """Publishes so many revisions; the alias names the last."""
    made: Any = load_class(f"{_SOURCE}:Versioned")
    return {
        version: place.publish(NAME, made(version), [EXAMPLE], engine="python").manifest for version in range(count)
    }


def publish_bad(place: Place, good: Manifest, *, whole: bool) -> Manifest:
    """A revision that is signed, to which the alias is not moved yet: it answers otherwise than it says, or is cut."""
    files = {file: bytes(place.repository.download(good, file).wait().memory) for file in good.files}
    files[PREDICTIONS_FILE] = canonical([{"prediction": "another"}])
    entries = {file: FileEntry.of(data) for file, data in files.items()}
    bad = replace(good, description="whole" if whole else "cut", files=entries)
    place.repository.add(bad, files, place.key)
    if not whole:
        name = f"{bad.family}/{bad.name}/revisions/{bad.revision}/{WRAPPER_FILE}"
        place.bucket.put(name, place.bucket.data(name)[:-1])
    return bad


def is_pure(answer: Answer, revisions: Mapping[str, int]) -> bool:
    """Whether one revision alone has made the answer: the one that it names.

    Args:
        revisions: versions by revision.
    """
    told = answer.json()
    revision = answer.headers.get("x-model-revision", "")
    return bool(told["revision"] == revision and told["body"] == [revisions[revision]] * 3)
