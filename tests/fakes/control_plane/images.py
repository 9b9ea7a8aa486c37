"""What a build makes of uploaded source: checked as Google's buildpacks do, and kept for instances to run."""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PYTHON = re.compile(r"3\.(1[0-4])(\.(x|\*|\d+))?")
_FRAMEWORK = re.compile(r"(?m)^functions-framework")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^]]*\])?\s*((===?|~=|!=|[<>]=?|@).*)?")


class BuildFailed(Exception):
    """The argument is the line with which the build's log ends."""


@dataclass(frozen=True)
class Image:
    """A built function.

    Args:
        variables: what the build leaves for the instance, as FUNCTION_TARGET.
    """

    digest: str
    folder: Path
    variables: Mapping[str, str]


def build(source: bytes, target: str, variables: Mapping[str, str], place: Path) -> Image:
    """Raises BuildFailed for source of which Google makes no image.

    Args:
        variables: those of the build, as GOOGLE_PYTHON_VERSION.
        place: where images are kept.
    """
    digest = hashlib.sha256(source + repr((target, sorted(variables.items()))).encode()).hexdigest()
    folder = place / digest[:16]
    if not folder.exists():
        _unpack(source, folder)
    _check_python(variables)
    main = variables.get("GOOGLE_FUNCTION_SOURCE", "main.py")
    if not (folder / main).is_file():
        raise BuildFailed(
            "missing main.py and GOOGLE_FUNCTION_SOURCE not specified. Either create the function in main.py or "
            "specify GOOGLE_FUNCTION_SOURCE to point to the file that contains the function"
        )
    _check_requirements(folder, variables)
    _compile(folder)
    return Image(f"sha256:{digest}", folder, {"FUNCTION_TARGET": target, "FUNCTION_SOURCE": main})


def _unpack(source: bytes, folder: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as archive:
            for name in archive.namelist():
                if Path(name).is_absolute() or ".." in Path(name).parts:
                    raise BuildFailed(f"the source archive holds {name}, which leads out of it")
            archive.extractall(folder)
    except zipfile.BadZipFile as exc:
        raise BuildFailed(f"could not unzip the source: {exc}") from exc


def _check_python(variables: Mapping[str, str]) -> None:
    wanted = variables.get("GOOGLE_PYTHON_VERSION", "3.11.x")
    if not _PYTHON.fullmatch(wanted):
        raise BuildFailed(f"Runtime version {wanted} is not supported: no match for python among 3.10.x to 3.14.x")


def _check_requirements(folder: Path, variables: Mapping[str, str]) -> None:
    path = folder / "requirements.txt"
    text = path.read_text() if path.is_file() else ""
    for line in text.replace("\\\n", " ").splitlines():
        entry = re.split(r"\s--hash|\s#|;", line.partition("#")[0].strip())[0].strip()
        if entry and not entry.startswith("-") and not _REQUIREMENT.fullmatch(entry):
            raise BuildFailed(f"pip install: ERROR: Invalid requirement: '{entry}' (from requirements.txt)")
    if _FRAMEWORK.search(text):
        return
    # Without it the builder adds a set of its own, which has no hashes and is no vendored wheel.
    if "--hash=" in text:
        raise BuildFailed(
            "pip install: ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. "
            "functions-framework is missing from requirements.txt, and what the builder adds has no hashes"
        )
    if "GOOGLE_VENDOR_PIP_DEPENDENCIES" in variables or (not path.is_file() and (folder / "pyproject.toml").is_file()):
        raise BuildFailed("This project depends on functions-framework, which is missing. Please add it to the pins")


def _compile(folder: Path) -> None:
    for path in sorted(folder.rglob("*.py")):
        try:
            compile(path.read_bytes(), str(path.relative_to(folder)), "exec", dont_inherit=True)
        except SyntaxError as exc:
            raise BuildFailed(
                f"python3 -m compileall -f -q .: *** Error compiling './{path.relative_to(folder)}'... "
                f"SyntaxError: {exc.msg} (line {exc.lineno})"
            ) from exc
