"""Lock: write down every package that the pins bring, with the digests of its files for all platforms.

deploy/locks/ comes of requirements.txt and of each function's. Whatever installs those checks the digests.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy import locked, output
from deploy.environments import pins
from deploy.project import BATCH, FUNCTIONS, ROOT

EXAMPLE = "python -m deploy lock --upgrade"

_HEADER = """\
# {what}, and all that they bring, with the SHA-256 of each file that
# the registry has of them. Written by "make lock": change the pins and not this.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upgrade", action="store_true", help="newer versions of what no pin names")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    preferred = not args.upgrade
    _write(locked.DEVELOPMENT, "The pins of requirements.txt", pins(ROOT / "requirements.txt"), preferred)
    # What functions run on is what they were tested with.
    same = f"--constraint={locked.DEVELOPMENT}"
    _write(locked.FOR_FUNCTIONS, "The pins of functions/*/requirements.txt", function_pins(), preferred, same)
    _write_for_batch(preferred)
    locks = (locked.DEVELOPMENT, locked.FOR_FUNCTIONS, locked.FOR_BATCH)
    found = {lock.stem: len(locked.packages(lock)) for lock in locks}
    output.tell(args, found, "\n".join(f"{count} packages for {name}" for name, count in found.items()))


def function_pins() -> dict[str, str]:
    """Of all functions. Raises ValueError where two of them disagree."""
    found: dict[str, str] = {}
    for path in sorted(FUNCTIONS.glob("*/requirements.txt")):
        for package, version in pins(path).items():
            if found.setdefault(package, version) != version:
                raise ValueError(f"{path} pins {package}=={version}, another function {found[package]}. Pin one.")
    return found


def _write_for_batch(preferred: bool) -> None:
    """What functions and tests run on stays as it is, whatever bounds Beam has: only what it brings is written."""
    there = locked.packages(locked.DEVELOPMENT) | locked.packages(locked.FOR_FUNCTIONS)
    kept = locked.FOR_BATCH.with_suffix(".kept")
    kept.write_text("".join(f"{one.name}=={one.version}\n" for one in there.values()))
    try:
        wanted = pins(BATCH / "requirements.txt")
        _write(locked.FOR_BATCH, "The pins of deploy/batch/requirements.txt", wanted, preferred, f"--override={kept}")
    finally:
        kept.unlink()
    text = locked.without(locked.FOR_BATCH, locked.packages(locked.DEVELOPMENT))
    locked.FOR_BATCH.write_text(text)


def _write(lock: Path, what: str, wanted: dict[str, str], preferred: bool, *more: str) -> None:
    """Args: preferred: whether what is locked already stays where it fits."""
    draft = lock.with_suffix(".part")
    draft.write_text(lock.read_text() if preferred and lock.exists() else "")
    try:
        _resolve(wanted, draft, more)
        draft.write_text(_HEADER.format(what=what) + draft.read_text())
        draft.replace(lock)
    finally:
        draft.unlink(missing_ok=True)


def _resolve(wanted: dict[str, str], draft: Path, more: Iterable[str]) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    options = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--quiet", *more]
    requirements = "".join(f"{package}=={version}\n" for package, version in sorted(wanted.items()))
    command = [uv, "pip", "compile", *options, f"--output-file={draft}", "-"]
    done = subprocess.run(command, cwd=ROOT, input=requirements, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"The pins cannot be locked: {done.stderr.strip()}")
