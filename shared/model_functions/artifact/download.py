"""A file of a revision on its way into memory: chunks side by side, each proven by its digest as it arrives."""

import threading
import time
from collections.abc import Iterator

from model_functions.artifact.manifest import FileEntry, WeightsLayout
from model_functions.artifact.region import Region
from model_functions.errors import DigestMismatch, StoreUnavailable
from model_functions.store import OpenObject, Store

#: Chunks that are fetched at once: enough to fill a cloud's link, few enough to leave the import its core.
THREADS = 4

AS_IT_IS = WeightsLayout(0, 0)


class Download:
    """Starts at once, and is waited for when what else a load needs is done.

    Args:
        name: the object's.
        layout: how the file becomes memory.
    """

    def __init__(self, store: Store, name: str, entry: FileEntry, layout: WeightsLayout = AS_IT_IS) -> None:
        self._region = Region(entry.size, layout)
        self.hashing_s = 0.0
        """Seconds that the threads have spent on digests."""
        self._name, self._entry = name, entry
        self._opened: OpenObject = store.open(name)
        self._lock = threading.Condition()
        self._todo: Iterator[int] = iter(range(len(entry.chunks)))
        self._missing = len(entry.chunks)
        self._failure: BaseException | None = None
        self._fetching = min(THREADS, len(entry.chunks))
        for _ in range(self._fetching):
            threading.Thread(target=self._fetch_all, name="download", daemon=True).start()

    def wait(self) -> Region:
        """The whole file in memory. Raises DigestMismatch, and what the store raises."""
        with self._lock:
            self._lock.wait_for(lambda: self._failure is not None or not self._missing)
            if self._failure is not None:
                raise self._failure
        return self._region

    def cancel(self) -> None:
        """Lets the threads end, whatever each is at."""
        self._fail(StoreUnavailable("The download was given up.", retry_after=1))

    def _fetch_all(self) -> None:
        staging = bytearray()
        try:
            while (index := self._next()) is not None:
                start = index * self._entry.chunk_size
                end = min(start + self._entry.chunk_size, self._entry.size)
                target = self._region.target(start, end)
                if target is None:
                    staging = staging or bytearray(self._entry.chunk_size)
                    self._fetch(memoryview(staging)[: end - start], index)
                    self._region.place(memoryview(staging)[: end - start], start)
                else:
                    self._fetch(target, index)
                with self._lock:
                    self._missing -= 1
                    self._lock.notify_all()
        except BaseException as exc:  # noqa: BLE001 - those who wait must hear it
            self._fail(exc)
        finally:
            self._end()

    def _next(self) -> int | None:
        with self._lock:
            return None if self._failure is not None else next(self._todo, None)

    def _fetch(self, chunk: memoryview, index: int) -> None:
        # Once more: a line that garbles a chunk must not cost the load.
        if self._proven(chunk, index) or self._proven(chunk, index):
            return
        start = index * self._entry.chunk_size
        raise DigestMismatch(
            f"Bytes {start} to {start + len(chunk) - 1} of {self._name.rpartition('/')[2]} are not those that were "
            "signed. Publish the model again."
        )

    def _proven(self, chunk: memoryview, index: int) -> bool:
        self._opened.read_into(chunk, index * self._entry.chunk_size)
        if self._opened.size not in (None, self._entry.size):
            raise DigestMismatch(
                f"{self._name.rpartition('/')[2]} has {self._opened.size} bytes, and {self._entry.size} were signed. "
                "Publish the model again."
            )
        started = time.thread_time()
        proven = self._entry.proves(chunk, index)
        with self._lock:
            self.hashing_s += time.thread_time() - started
        return proven

    def _fail(self, exc: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or exc
            self._lock.notify_all()
        self._opened.give_up()

    def _end(self) -> None:
        with self._lock:
            self._fetching -= 1
            last = self._fetching == 0
        if last:
            self._opened.__exit__(None, None, None)
