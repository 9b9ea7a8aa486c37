"""Where a published model comes from: the source, the Git tree, what the training says of itself."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from deploy.sources.formats import json_object
from model_functions.artifact.manifest import Provenance

#: What a training script may leave beside its model: any JSON object, as its score, its data and its settings.
TRAINING_FILE = "training.json"

_CHUNK = 1024 * 1024


def provenance(source: dict[str, str], training: dict[str, Any], folder: Path | None = None) -> Provenance:
    """The record, with the state of the Git tree.

    Args:
        folder: where the tree is looked for; None means where the publisher stands.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    dirty = bool(commit and _git(folder, "status", "--porcelain", "--untracked-files=no"))
    return Provenance(source, commit or None, dirty, training)


def training_record(path: Path | None, note: str | None) -> dict[str, Any]:
    """The fields of the training.json that stands in the model's folder or beside its file, with the note.

    Raises ValueError for one that is no JSON object.
    """
    record: dict[str, Any] = {}
    if path is not None:
        file = (path if path.is_dir() else path.parent) / TRAINING_FILE
        if file.is_file():
            record = json_object(file, "Write fields with names into it, or take it away.")
    return record | ({"note": note} if note else {})


def hub_commit(location: str) -> str:
    """Of the files that a Hub id's model was just made of; nothing where they are not in the Hub's cache."""
    # Imported here: it is slow, and a path needs none of it.
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(location, "config.json")
    return Path(found).parent.name if isinstance(found, str) else ""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names."""
    digest = hashlib.sha256()
    if path.is_file():
        _feed(digest, path)
    for file in sorted(path.rglob("*")) if path.is_dir() else ():
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            _feed(digest, file)
    return digest.hexdigest()


def _feed(digest: Any, file: Path) -> None:
    with open(file, "rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)


def _git(folder: Path | None, *arguments: str) -> str:
    """What git answers; nothing outside of a tree, or without git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
