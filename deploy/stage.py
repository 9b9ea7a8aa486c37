"""Stage functions: build/<family>/ = the function's folder + the shared code that it needs + trust.json + sbom.json.

Its requirements.txt has all that the function's own one brings, with the digests of deploy/locks/, which pip checks.
Staged twice, a tree gives the same digest, whoever does it and wherever; --list shows what would be uploaded.
"""

import argparse
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy import locked, needed_code, output, publisher, sbom, staged
from deploy.environments import pins
from deploy.project import BUILD, FUNCTIONS, SHARED, function_families
from deploy.staged import Staged

EXAMPLE = "python -m deploy stage tabular gateway --list"

_REQUIREMENTS = """\
# What functions/{family}/requirements.txt pins and brings, with the SHA-256 of every file that may be installed.
"""

#: Nor the schedule of the warm-up pings, which is no part of what answers them.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "README.md", "warmup.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", nargs="*", help="default: all")
    parser.add_argument("--release", action="store_true", help="for Google Cloud: trust no key of this laptop")
    parser.add_argument(
        "--cpu-torch",
        action=argparse.BooleanOptionalAction,
        help="take PyTorch's build for CPUs alone, a twentieth of the other's size; default: only with --release, and "
        "not for a function with a GPU in its run.yaml",
    )
    parser.add_argument("--list", action="store_true", help="each file that would be uploaded, with its size")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    found = [
        staged.read(family, stage(family, release=args.release, cpu_torch=args.cpu_torch))
        for family in args.family or function_families()
    ]
    rows = [_row(one, args.list) for one in found]
    output.tell(args, rows, "\n".join(line for one in found for line in _lines(one, args.list)))


def stage(family: str, *, release: bool = False, cpu_torch: bool | None = None, build: Path = BUILD) -> Path:
    """Writes the family's folder anew where it is another one now, all or nothing, and returns it.

    Args:
        cpu_torch: PyTorch's build for CPUs alone; None: for a release, where the function has no GPU.

    Raises ValueError for an unknown family, a pin that is not locked, and a symbolic link, which an upload leaves out.
    """
    if family not in function_families():
        raise ValueError(f'There is no function "{family}". There are: {", ".join(function_families())}.')
    source = FUNCTIONS / family
    for folder in (source, SHARED):
        _refuse_links(folder)
    staging, folder = build / f".{family}", build / family
    cpu_torch = (release and not _has_gpu(source)) if cpu_torch is None else cpu_torch
    with _alone(build):
        pinned = pins(source / "requirements.txt")
        packages = locked.of_function(pinned, locked.packages(locked.FOR_FUNCTIONS))
        on_cpus = locked.on_cpus(packages) if cpu_torch else packages
        shutil.rmtree(staging, ignore_errors=True)
        shutil.copytree(source, staging, ignore=_LEFT_OUT)
        _copy_shared(staging, [one.name for one in packages])
        (staging / "requirements.txt").write_text(_REQUIREMENTS.format(family=family) + locked.requirements(on_cpus))
        (staging / "sbom.json").write_text(sbom.document(family, pinned, on_cpus))
        (staging / "trust.json").write_text(publisher.trust_document(release=release))
        (staging / ".gcloudignore").write_text(staged.IGNORED)
        if staged.uploaded(staging) == (staged.uploaded(folder) if folder.exists() else None):
            # A function may run in it.
            shutil.rmtree(staging)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
    return folder


def _copy_shared(staging: Path, packages: list[str]) -> None:
    needed = needed_code.needed(staging / "main.py", SHARED, packages)
    for path in SHARED.rglob("*"):
        place = path.relative_to(SHARED)
        is_left_out = path.name in _LEFT_OUT(str(path.parent), [path.name]) or "__pycache__" in place.parts
        if path.is_file() and not is_left_out and (place in needed or path.suffix != ".py"):
            copy = staging / SHARED.name / place
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _has_gpu(source: Path) -> bool:
    """Args: source: the function's folder."""
    extra = source / "run.yaml"
    return extra.exists() and any(line.startswith("--gpu:") for line in extra.read_text().splitlines())


def _row(one: Staged, listed: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"family": one.family, "folder": str(one.folder), "digest": one.digest}
    row |= {"files": len(one.files), "bytes": one.size}
    return row | ({"uploaded": one.files} if listed else {})


def _lines(one: Staged, listed: bool) -> Iterator[str]:
    yield f"staged {one.folder}: {len(one.files)} files, {one.size / 1000:.0f} kB, digest {one.label}"
    if listed:
        yield from (f"  {size:9,}  {path}" for path, size in one.files.items())


@contextmanager
def _alone(build: Path) -> Iterator[None]:
    """Two emulators may stage the same function at once, and an emulator several of them: the parser of Python 3.11 is
    not for several threads (python/cpython#106905), and this is where code, and packages' markers, are parsed.
    """
    build.mkdir(parents=True, exist_ok=True)
    with open(build / ".staging", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_links(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link, which an upload would leave out. Put a copy there.")
