"""A wrapper class of the publisher's own: its source ships in the artifact, under a package of its own."""

import importlib
import inspect
from pathlib import Path

from model_functions.artifact import sources
from model_functions.source_code import imported_by
from model_functions.wrapper import ModelWrapper

#: What a model's folder calls the file with its wrapper class.
FILE = "wrapper.py"


def load_class(place: str) -> type[ModelWrapper]:
    """The class of ``FILE.py:CLASS``, or of ``FILE.py`` with one wrapper class in it. It runs the file.

    Raises ValueError for a file that cannot be run or has no such class.
    """
    file, _, name = place.partition(":") if ":" in Path(place).name else (place, "", "")
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise ValueError(f"--wrapper {place}: there is no Python file {file}. Write FILE.py:CLASS.")
    package = sources.install(_gathered(path))
    try:
        module = importlib.import_module(f"{package}.{path.stem}")
    except Exception as exc:
        raise ValueError(f"{path.name} cannot be run: {type(exc).__name__}: {exc}") from exc
    found = {
        cls.__name__: cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, ModelWrapper) and cls.__module__ == module.__name__
    }
    if name in found:
        return found[name]
    if name or len(found) != 1:
        what = f"no wrapper class {name}" if name else f"{len(found)} wrapper classes"
        known = ", ".join(found) or "none: derive one from model_functions.wrapper.ModelWrapper"
        raise ValueError(f"{path.name} has {what}. Those in it: {known}.")
    return next(iter(found.values()))


def _gathered(path: Path) -> dict[str, bytes]:
    """The file, and those beside it that it imports, by module name."""
    found: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        found[file.stem] = file.read_bytes()
        try:
            imported = imported_by(found[file.stem])
        except SyntaxError as exc:
            raise ValueError(f"{file.name} is no Python: {exc}") from exc
        beside = {name: path.parent / f"{name}.py" for name in imported if name not in found}
        folders = [name for name in imported if (path.parent / name / "__init__.py").is_file()]
        if folders:
            raise ValueError(
                f"{file.name} imports the package {folders[0]} that stands beside it, and only single files ship. "
                f"Put what it needs into a module, or install {folders[0]} and pin it in the function's requirements."
            )
        waiting += [file for file in beside.values() if file.is_file()]
    return found
