"""A staged folder, as it would be uploaded: its files, their size, and the digest of all."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

#: Written into each staged folder: without one, gcloud functions would write its own, and gcloud run upload all.
IGNORED = """\
# What neither `gcloud functions deploy` nor `gcloud run deploy` uploads.
.gcloudignore
__pycache__/
*.pyc
.git/
.env
"""


@dataclass(frozen=True)
class Staged:
    """Args: files: sizes of the files, by their paths in the folder."""

    family: str
    folder: Path
    files: dict[str, int]
    digest: str

    @property
    def size(self) -> int:
        return sum(self.files.values())

    @property
    def label(self) -> str:
        """What a deployed function says of its source: a label's value is short."""
        return self.digest[:16]


def read(family: str, folder: Path) -> Staged:
    texts = uploaded(folder)
    sizes = {path.as_posix(): len(text) for path, text in texts.items()}
    return Staged(family, folder, sizes, _digest(texts))


def uploaded(folder: Path) -> dict[Path, bytes]:
    """What an upload of the folder has, by place."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    kept = (path for path in paths if "__pycache__" not in path.parts and path.suffix != ".pyc")
    return {path.relative_to(folder): path.read_bytes() for path in kept if path.name != ".gcloudignore"}


def _digest(texts: dict[Path, bytes]) -> str:
    """Of names and contents alone: neither times nor permissions are part of it."""
    lines = (f"{hashlib.sha256(text).hexdigest()}  {path.as_posix()}\n" for path, text in texts.items())
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
