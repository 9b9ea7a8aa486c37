"""Which modules of the shared code a function needs, read off the imports.

What is found by name and not by an import stays whole: the protocols, and what an artifact may name, which is any
module but another family's, and an engine only where the function has the packages that it runs on.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

#: Packages whose modules are imported one by one, by names that are worked out.
_BY_NAME = ("model_functions.http.protocols", "model_functions.http.openapi")

#: What sites import that run a function within themselves.
_FOR_SITES = ("model_functions.http.mounting",)

#: What an artifact never names: an edge, another family, and an engine that cannot run.
_APART = ("model_functions.http", "model_functions.families", "model_functions.engines")

#: What a package is imported as, where that is not its name.
_IMPORTED_AS = {"PIL": "pillow", "google": "protobuf", "sklearn": "scikit-learn", "tensorflow": "tensorflow-cpu"}


def needed(main: Path, shared: Path, packages: Iterable[str]) -> set[Path]:
    """The files, below the shared code's folder, that the function needs.

    Args:
        main: its main.py.
        shared: the folder of model_functions.
        packages: the names of all that is installed for it.
    """
    modules = modules_in(shared)
    installed = set(packages)
    wanted = [*_imports(main), *_FOR_SITES, *(name for name in modules if name.startswith(_BY_NAME))]
    if "dill" in installed:
        wanted += [name for name in modules if not name.startswith(_APART)]
        wanted += [name for name in modules if _is_usable(name, modules, installed)]
    return {modules[name].relative_to(shared) for name in reached(wanted, modules)}


def modules_in(package: Path) -> dict[str, Path]:
    """The files of a package's folder, by the names of their modules."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def reached(wanted: Iterable[str], modules: dict[str, Path]) -> set[str]:
    """These modules, what they import, and the packages around them."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        # Of "a.b.c" each is imported; the last may be no module, but something in one.
        while name:
            if name in modules and name not in found:
                found.add(name)
                waiting += _imports(modules[name])
            name = name.rpartition(".")[0]
    return found


def _is_usable(name: str, modules: dict[str, Path], installed: set[str]) -> bool:
    """Whether it is an engine, or a part of one, that has all packages that it and its parts import."""
    if not name.startswith("model_functions.engines."):
        return False
    parts = {part for part in reached([name], _below(modules, "model_functions.engines")) if part != name}
    return all(_packages(modules[part]) <= installed for part in (name, *parts))


def _below(modules: dict[str, Path], package: str) -> dict[str, Path]:
    return {name: path for name, path in modules.items() if name.startswith(package)}


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """The full names that a file imports, wherever it does: modules, and what is taken from them."""
    try:
        return tuple(_imported(ast.parse(path.read_bytes(), str(path))))
    except SyntaxError as exc:
        raise ValueError(f"{path}, line {exc.lineno}: {exc.msg}. A function with it would not start.") from exc


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not _is_for_types_alone(node):
            yield from _imported(node)


def _is_for_types_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _packages(path: Path) -> set[str]:
    """The packages from elsewhere that a file imports, by their names on PyPI."""
    tops = {name.partition(".")[0] for name in _imports(path)} - sys.stdlib_module_names - {"model_functions"}
    return {str(canonicalize_name(_IMPORTED_AS.get(top, top))) for top in tops}
