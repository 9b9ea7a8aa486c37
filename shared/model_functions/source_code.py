"""A Python file of the publisher's own, which ships inside the artifact and is a module wherever that is loaded."""

import ast
import hashlib
import linecache
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self


@dataclass(frozen=True)
class SourceCode:
    """The text of one module. It may import what the function has installed, and nothing beside itself.

    Args:
        file: its file's name, for tracebacks.
    """

    file: str
    text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError for a file that is no Python, or that imports one beside it."""
        text = path.read_text()
        try:
            imported = imported_by(text)
        except SyntaxError as exc:
            raise ValueError(f"{path.name} is no Python: {exc.msg} at line {exc.lineno}.") from exc
        for name in imported:
            if (path.parent / f"{name}.py").is_file() or (path.parent / name / "__init__.py").is_file():
                raise ValueError(
                    f"{path.name} imports {name}, which stands beside it and would not ship. Put both into one file."
                )
        return cls(path.name, text)

    @property
    def module_name(self) -> str:
        """Another for each text, so that two models' classes never meet."""
        return f"model_source_{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"

    def module(self) -> ModuleType:
        """The text as an imported module, the same one at every call. Runs it at the first."""
        if self.module_name not in sys.modules:
            module = ModuleType(self.module_name)
            module.__file__ = f"<{self.file}>"
            # So that a traceback shows its lines.
            linecache.cache[module.__file__] = (len(self.text), None, self.text.splitlines(True), module.__file__)
            sys.modules[self.module_name] = module
            try:
                exec(compile(self.text, module.__file__, "exec"), module.__dict__)  # noqa: S102 - what it is for
            except BaseException:
                del sys.modules[self.module_name]
                raise
        return sys.modules[self.module_name]

    def find(self, name: str) -> Any:
        """What the module calls by this name. Raises ValueError for what it has not."""
        found = getattr(self.module(), name, None)
        if found is None:
            raise ValueError(f"{self.file} has no {name}.")
        return found


def imported_by(source: str | bytes) -> set[str]:
    """The top names of the modules that a source imports, those beside it too. Raises SyntaxError."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {alias.name for alias in node.names} if node.level and not module else {module.partition(".")[0]}
    return names
