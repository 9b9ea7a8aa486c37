"""Stage functions: build/<family>/ = the function's folder + a copy of the shared code + trust.json + sbom.json.

Its requirements.txt has all that the function's own one brings, with the digests of deploy/locks/, which pip checks.
"""

import argparse
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import locked, output, publisher, sbom
from deploy.environments import pins
from deploy.project import BUILD, FUNCTIONS, SHARED, function_families

EXAMPLE = "python -m deploy stage tabular gateway"

_REQUIREMENTS = """\
# What functions/{family}/requirements.txt pins and brings, with the SHA-256 of every file that may be installed.
"""

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "README.md")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", nargs="*", help="default: all")
    parser.add_argument("--release", action="store_true", help="for Google Cloud: trust no key of this laptop")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    folders = [stage(family, release=args.release) for family in args.family or function_families()]
    names = [str(folder) for folder in folders]
    output.tell(args, names, "\n".join(f"staged {name}" for name in names))


def stage(family: str, *, release: bool = False, build: Path = BUILD) -> Path:
    """Writes the family's folder anew where it is another one now, all or nothing, and returns it.

    Raises ValueError for an unknown family, a pin that is not locked, and a symbolic link, which an upload leaves out.
    """
    if family not in function_families():
        raise ValueError(f'There is no function "{family}". There are: {", ".join(function_families())}.')
    for source in (FUNCTIONS / family, SHARED):
        _refuse_links(source)
    pinned = pins(FUNCTIONS / family / "requirements.txt")
    packages = locked.of_function(pinned, locked.packages(locked.FOR_FUNCTIONS))
    staging, folder = build / f".{family}", build / family
    with _alone(build):
        shutil.rmtree(staging, ignore_errors=True)
        shutil.copytree(FUNCTIONS / family, staging, ignore=_LEFT_OUT)
        shutil.copytree(SHARED, staging / SHARED.name, ignore=_LEFT_OUT)
        (staging / "requirements.txt").write_text(_REQUIREMENTS.format(family=family) + locked.requirements(packages))
        (staging / "sbom.json").write_text(sbom.document(family, pinned, packages))
        (staging / "trust.json").write_text(publisher.trust_document(release=release))
        if _texts(staging) == _texts(folder):
            # A function may run in it.
            shutil.rmtree(staging)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
    return folder


def _texts(folder: Path) -> dict[Path, bytes]:
    """What an upload of the folder would have, by place."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in files}


@contextmanager
def _alone(build: Path) -> Iterator[None]:
    """Two emulators may stage the same function at once."""
    build.mkdir(parents=True, exist_ok=True)
    with open(build / ".staging", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_links(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link, which an upload would leave out. Put a copy there.")
