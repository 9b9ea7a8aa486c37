"""A folder as a store: the same promises as a bucket, on a laptop."""

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from model_functions.errors import Conflict, DigestMismatch, ObjectNotFound, StoreUnavailable
from model_functions.store import NEW, Stored

# Neither can begin an object's name, so a listing never shows them.
LOCK_NAME = ".lock"
TEMPORARY_PREFIX = ".writing-"


class FolderStore:
    """Objects are files; an object's generation is its file's modification time in nanoseconds."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().resolve()

    @property
    def location(self) -> str:
        return str(self.root)

    def read(self, name: str) -> Stored:
        with _failures_translated(name), open(self._path(name), "rb") as file:
            return Stored(file.read(), os.fstat(file.fileno()).st_mtime_ns)

    def open(self, name: str) -> "OpenFile":
        return OpenFile(name, self._path(name))

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        path = self._path(name)
        try:
            written = self._write(path, name, data, generation)
        except OSError as exc:
            raise StoreUnavailable(f"{name} cannot be written: {exc.strerror}.", retry_after=5) from exc
        if on_progress is not None:
            on_progress(len(data))
        return written

    def list(self, prefix: str = "") -> Iterator[str]:
        # Only the folder that the prefix names is walked, as a bucket would.
        top = (self.root / prefix.rpartition("/")[0]).resolve()
        if not top.is_relative_to(self.root):
            return
        names = (path.relative_to(self.root).as_posix() for path in top.rglob("*") if path.is_file())
        yield from sorted(name for name in names if name.startswith(prefix) and not name.startswith("."))

    def _write(self, path: Path, name: str, data: bytes, generation: int) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.root, prefix=TEMPORARY_PREFIX) as temporary:
            temporary.write(data)
            temporary.flush()
            os.fsync(temporary.fileno())
            with self._locked():
                return self._replace(Path(temporary.name), path, name, generation)

    def _replace(self, temporary: Path, path: Path, name: str, generation: int) -> int:
        found = path.stat().st_mtime_ns if path.exists() else NEW
        if found != generation:
            raise Conflict(f"{name} has been written by somebody else meanwhile. Look at it and run the command again.")
        # The clock may stand still or jump back between two writes; a generation never does.
        written = max(time.time_ns(), found + 1)
        os.utime(temporary, ns=(written, written))
        # A link, because the temporary file's own name is removed by its owner.
        linked = temporary.with_name(temporary.name + ".linked")
        linked.hardlink_to(temporary)
        try:
            linked.replace(path)
        finally:
            linked.unlink(missing_ok=True)
        return path.stat().st_mtime_ns

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.root / LOCK_NAME, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _path(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if path == self.root or not path.is_relative_to(self.root):
            raise ObjectNotFound(f"{name} is no object's name.")
        return path


class OpenFile:
    """A file that stays the one that was opened, also when its name is given to another."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self.size: int | None = None
        self._file: FileIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def read_into(self, buffer: memoryview, offset: int = 0) -> None:
        position = 0
        with _failures_translated(self._name):
            file = self._opened()
            while position < len(buffer):
                count = os.preadv(file.fileno(), [buffer[position:]], offset + position)
                if count == 0:
                    raise DigestMismatch(f"{self._name} ends after {offset + position} bytes. Publish the model again.")
                position += count

    def give_up(self) -> None:
        """A file is read so fast that its end is not waited for."""

    def _opened(self) -> FileIO:
        with self._lock:
            if self._file is None:
                self._file = FileIO(self._path)
                self.size = os.fstat(self._file.fileno()).st_size
            return self._file


@contextmanager
def _failures_translated(name: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise ObjectNotFound(f"The store has no {name}.") from exc
    except OSError as exc:
        raise StoreUnavailable(f"{name} cannot be read: {exc.strerror}.", retry_after=5) from exc
