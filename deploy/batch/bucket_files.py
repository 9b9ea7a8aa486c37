"""A job's files in buckets, by Google's own client."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import translate
from typing import Any, BinaryIO, cast

from google.api_core import exceptions as api

from deploy.batch.files import Found, changed
from model_functions.store.upload import FAILURES, client

#: What is read at once of a large file.
_BLOCK = 8 * 2**20
_NAME = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?", re.DOTALL)
_WILD = re.compile(r"[*?\[]")


class BucketFiles:
    def matching(self, pattern: str) -> list[Found]:
        bucket, name = _split(pattern)
        wild = _WILD.search(name)
        prefix = name[: wild.start()] if wild else name
        fits = re.compile(_expression(name)).fullmatch if wild else None
        found = []
        with _failures(pattern):
            for blob in _client().list_blobs(bucket, prefix=prefix):
                is_here = fits(blob.name) if fits else _is_in(blob.name, name)
                if is_here and not blob.name.endswith("/"):
                    found.append(Found(f"gs://{bucket}/{blob.name}", int(blob.size), int(blob.generation)))
        return sorted(found)

    def open(self, file: Found) -> BinaryIO:
        bucket, name = _split(file.name)
        blob = _client().bucket(bucket).blob(name, generation=file.stamp)
        with _failures(file.name):
            try:
                blob.reload()
            except api.NotFound as exc:
                raise changed(file.name) from exc
            return cast(BinaryIO, blob.open("rb", chunk_size=_BLOCK))

    def read(self, name: str) -> bytes:
        bucket, key = _split(name)
        with _failures(name):
            return bytes(_client().bucket(bucket).blob(key).download_as_bytes())

    def write(self, name: str, data: bytes) -> None:
        bucket, key = _split(name)
        with _failures(name):
            _client().bucket(bucket).blob(key).upload_from_string(data, "application/octet-stream", checksum="crc32c")

    def remove(self, name: str) -> None:
        bucket, key = _split(name)
        with _failures(name):
            try:
                _client().bucket(bucket).blob(key).delete()
            except api.NotFound:
                return

    def names(self, folder: str) -> Iterator[str]:
        bucket, prefix = _split(folder.rstrip("/") + "/")
        with _failures(folder):
            for blob in _client().list_blobs(bucket, prefix=prefix):
                yield f"gs://{bucket}/{blob.name}"

    def sweep(self, folder: str) -> None:
        """A bucket keeps nothing of what does not arrive whole."""


def _client() -> Any:
    return client(os.environ.get("STORAGE_EMULATOR_HOST"))


def _split(location: str) -> tuple[str, str]:
    match = _NAME.fullmatch(location)
    if match is None:
        raise ValueError(f'"{location}" names no bucket. Write gs://BUCKET/NAME.')
    return match[1], match[2] or ""


def _is_in(name: str, folder: str) -> bool:
    return name == folder or not folder or name.startswith(folder.rstrip("/") + "/")


def _expression(pattern: str) -> str:
    """As a shell reads it: ``*`` stays within a folder, ``**`` does not."""
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    meant = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(meant.get(part) or translate(part).removeprefix("(?s:").removesuffix(r")\Z") for part in parts)


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """Raises OSError, which names the file, for whatever the bucket or the network raise."""
    try:
        yield
    except api.NotFound as exc:
        raise FileNotFoundError(f"There is no {name}.") from exc
    except (api.Forbidden, api.Unauthorized) as exc:
        raise PermissionError(f"{name} is denied: {exc.message} Grant roles/storage.objectUser on its bucket.") from exc
    except FAILURES as exc:
        if isinstance(exc, OSError) and str(exc).startswith(name):
            raise
        raise OSError(f"{name} cannot be reached: {exc}. Try again.") from exc
