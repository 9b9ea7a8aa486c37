"""What a job's machines install: our code that they need, as a wheel, and the family's packages, by their digests."""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import locked, needed_code
from deploy.batch.job import Job
from deploy.environments import pins
from deploy.project import FUNCTIONS, ROOT, SHARED

NAME = "model_functions_batch"

#: What functions pin to be asked over HTTP, which nobody does here.
_FOR_HTTP = ("functions-framework", "httptools")

#: That of every file in the wheel, so that the same code is the same wheel.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """Args: files: in the wheel, by their places."""

    wheel: Path
    requirements: Path
    files: tuple[str, ...]


def build(job: Job, folder: Path) -> Package:
    """Writes a job's wheel and requirements.txt into the folder. Raises ValueError for a pin that is not locked."""
    source = FUNCTIONS / job.model.family
    pinned = pins(source / "requirements.txt")
    # The shared code is that of the family's function, but for its HTTP.
    of_function = locked.of_function(pinned, locked.packages(locked.FOR_FUNCTIONS))
    texts = dict(_texts(job, source / "main.py", [one.name for one in of_function]))
    wanted = {name: version for name, version in pinned.items() if name not in _FOR_HTTP}
    packages = locked.on_cpus(locked.of_function(wanted, locked.packages(locked.FOR_FUNCTIONS)))
    requirements = folder / "requirements.txt"
    requirements.write_text(locked.requirements(packages))
    return Package(_wheel(texts, folder), requirements, tuple(sorted(texts)))


def _texts(job: Job, main: Path, packages: list[str]) -> Iterator[tuple[str, bytes]]:
    """The files by their places in the wheel."""
    modules = {**needed_code.modules_in(SHARED), **needed_code.modules_in(ROOT / "deploy")}
    # It is the verb, and leads to all that runs on the submitter's machine.
    verb = modules.pop("deploy.batch").relative_to(ROOT).as_posix()
    yield verb, b'"""Of a batch job\'s machines."""\n'
    # By its name: the reader of the job's inputs.
    begun = [
        "deploy.batch.pipeline",
        f"deploy.batch.readers.{job.format}",
        f"model_functions.families.{job.model.family}",
    ]
    reached = {modules[name] for name in needed_code.reached(begun, modules)}
    of_function = {SHARED / place for place in needed_code.needed(main, SHARED, packages) if place.parts[0] != "http"}
    for path in reached | of_function:
        root = SHARED.parent if path.is_relative_to(SHARED) else ROOT
        yield path.relative_to(root).as_posix(), path.read_bytes()


def _wheel(texts: dict[str, bytes], folder: Path) -> Path:
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name}\0{hashlib.sha256(text).hexdigest()}\n".encode())
    # A version for each content: pip leaves alone what is installed already.
    version = f"0.{int(digest.hexdigest()[:12], 16)}"
    place = f"{NAME}-{version}.dist-info"
    more = {
        f"{place}/METADATA": f"Metadata-Version: 2.1\nName: {NAME.replace('_', '-')}\nVersion: {version}\n",
        f"{place}/WHEEL": "Wheel-Version: 1.0\nGenerator: deploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = texts | {name: text.encode() for name, text in more.items()}
    record = f"{place}/RECORD"
    files[record] = "".join(f"{name},,\n" for name in sorted([*files, record])).encode()
    wheel = folder / f"{NAME}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return wheel
