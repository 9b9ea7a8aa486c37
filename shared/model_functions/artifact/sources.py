"""Python source that ships in an artifact: modules in a package of their own, named after their bytes.

So two artifacts may each bring a ``wrapper.py``, and an instance that holds both never takes one for the other.
"""

import builtins
import hashlib
import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from model_functions.artifact.manifest import SOURCES_FOLDER

_PREFIX = "shipped_"
#: In a module's name here, for a dot in the name by which the others import it.
DOT = "__"


def install(sources: Mapping[str, bytes], package: str | None = None) -> str:
    """Makes the modules importable and returns their package's name; nothing of them runs yet.

    Args:
        sources: by module name. Each finds the others by their plain names, as files of one folder do.
        package: its name where that is known.
    """
    package = package or _PREFIX + _digest(sources)
    if _finder(package) is None:
        sys.meta_path.append(_Shipped(package, sources))
    return package


def install_files(files: Mapping[str, bytes]) -> None:
    """The same for the files of a revision, by their names there."""
    packages: dict[str, dict[str, bytes]] = {}
    for name, data in files.items():
        package, _, file = name.removeprefix(SOURCES_FOLDER).partition("/")
        packages.setdefault(package, {})[file.removesuffix(".py")] = data
    for package, sources in packages.items():
        install(sources, package)


def files_of(names: Iterable[str]) -> dict[str, bytes]:
    """The files that a revision must bring, for a stream that imports these ``module:name``s."""
    packages = {name.partition(":")[0].partition(".")[0] for name in names}
    found = (finder for finder in map(_finder, sorted(packages)) if finder is not None)
    return {
        f"{SOURCES_FOLDER}{one.package}/{stem}.py": data for one in found for stem, data in sorted(one.sources.items())
    }


def _digest(sources: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for stem, data in sorted(sources.items()):
        digest.update(f"{stem}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _finder(package: str) -> "_Shipped | None":
    return next((one for one in sys.meta_path if isinstance(one, _Shipped) and one.package == package), None)


class _Shipped(MetaPathFinder, InspectLoader):
    """Finds and loads the modules of one package."""

    def __init__(self, package: str, sources: Mapping[str, bytes]) -> None:
        self.package = package
        self.sources = dict(sources)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, stem = fullname.rpartition(".")
        if fullname == self.package:
            return spec_from_loader(fullname, self, is_package=True)
        if package == self.package and stem in self.sources:
            return spec_from_loader(fullname, self, origin=f"{stem}.py", is_package=False)
        return None

    def is_package(self, fullname: str) -> bool:
        return fullname == self.package

    def get_source(self, fullname: str) -> str:
        return "" if self.is_package(fullname) else self.sources[fullname.rpartition(".")[2]].decode()

    def exec_module(self, module: ModuleType) -> None:
        stem = module.__name__.rpartition(".")[2]
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": self._import}
        code = compile(self.get_source(module.__name__), f"<{stem}.py of {self.package}>", "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - it is what the publisher signed

    def _import(self, name: str, *rest: Any, **named: Any) -> ModuleType:
        """``import``, as it is inside these modules: the others of the package come before all that is installed."""
        level = named.get("level", rest[3] if len(rest) > 3 else 0)
        stem = name.replace(".", DOT)
        if level == 0 and stem in self.sources:
            return importlib.import_module(f"{self.package}.{stem}")
        return __import__(name, *rest, **named)
