"""A job's files, local or in a bucket, by one small interface: found, read in ranges, written whole or not at all."""

import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

_TEMPORARY = ".writing-"


class Found(NamedTuple):
    """A file.

    Args:
        name: a path, or ``gs://BUCKET/NAME``.
        stamp: another one for other bytes of the same name.
    """

    name: str
    size: int
    stamp: int


class Files(Protocol):
    """Names are whole. All raise OSError with the name in its message."""

    def matching(self, pattern: str) -> list[Found]:
        """Those that a pattern with ``*``, ``?`` and ``**`` means, or that stand in the folder of that name; sorted."""

    def open(self, file: Found) -> BinaryIO:
        """The file's bytes from any place on. Raises FileChanged where they are others than those that were found."""

    def read(self, name: str) -> bytes:
        """A whole small file. Raises FileNotFoundError."""

    def write(self, name: str, data: bytes) -> None:
        """All or nothing, whatever was there; whoever reads sees what was before, or all of it."""

    def remove(self, name: str) -> None:
        """Nothing where there is none."""

    def names(self, folder: str) -> Iterator[str]:
        """Of all files in the folder and in those below it."""

    def sweep(self, folder: str) -> None:
        """Removes what writers that were killed have left; for when nobody writes there."""


class FileChanged(OSError):
    """An input is not what it was when the job began."""


def changed(name: str) -> FileChanged:
    return FileChanged(
        f"{name} has changed since the job began, or is gone: its rows would not be those that were counted. "
        "Put the file back, or begin anew with --again."
    )


def files_at(location: str) -> Files:
    """Those of a bucket for ``gs://…``, else those of this machine. Raises ValueError for other schemes."""
    if location.startswith("gs://"):
        # Imported here: Google's client takes a while, and few jobs need it.
        from deploy.batch.bucket_files import BucketFiles

        return BucketFiles()
    if "://" in location:
        raise ValueError(f'"{location}" is neither a path nor gs://BUCKET/NAME.')
    return LocalFiles()


def joined(folder: str, *names: str) -> str:
    return "/".join([folder.rstrip("/"), *names])


class LocalFiles:
    def matching(self, pattern: str) -> list[Found]:
        pattern = str(Path(pattern).expanduser())
        if Path(pattern).is_dir():
            pattern = f"{glob.escape(pattern)}/**"
        paths = glob.glob(pattern, recursive=True)  # noqa: PTH207 - a Path's glob takes no absolute pattern
        return [_found(path) for path in sorted(paths) if Path(path).is_file()]

    def open(self, file: Found) -> BinaryIO:
        try:
            if _found(file.name) != file:
                raise changed(file.name)
            return open(file.name, "rb")
        except FileNotFoundError as exc:
            raise changed(file.name) from exc

    def read(self, name: str) -> bytes:
        return Path(name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        try:
            self._write(Path(name), data)
        except OSError as exc:
            raise OSError(
                f"{name} cannot be written: {exc.strerror}. Make room for it, or choose another place."
            ) from exc

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - as os.rename is spelled
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        Path(name).unlink(missing_ok=True)

    def names(self, folder: str) -> Iterator[str]:
        root = Path(folder)
        yield from sorted(str(path) for path in root.rglob("*") if path.is_file())

    def sweep(self, folder: str) -> None:
        for path in Path(folder).rglob(f"{_TEMPORARY}*"):
            path.unlink()


def _found(path: str) -> Found:
    stat = os.stat(path)  # noqa: PTH116 - a million of them: a Path each takes thrice as long
    return Found(path, stat.st_size, stat.st_mtime_ns)
