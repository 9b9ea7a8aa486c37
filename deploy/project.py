"""Where things stand in the project, and which families it has."""

import importlib
import inspect
import os
from pathlib import Path

from model_functions.names import is_family
from model_functions.wrapper import ModelWrapper

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
SHARED = ROOT / "shared" / "model_functions"
BATCH = ROOT / "deploy" / "batch"
BUILD = ROOT / "build"


def function_families() -> list[str]:
    """Every family that has a function, the gateway included; read off the folders."""
    return sorted(path.parent.name for path in FUNCTIONS.glob("*/main.py") if is_family(path.parent.name))


def model_families() -> list[str]:
    """Every family that a model can be published to; read off the modules."""
    return sorted(path.stem for path in (SHARED / "families").glob("*.py") if is_family(path.stem))


def wrapper_class(family: str) -> type[ModelWrapper]:
    """The wrapper class that the family's module defines."""
    module = importlib.import_module(f"model_functions.families.{family}")
    classes = (value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, ModelWrapper))
    return next(cls for cls in classes if cls.__module__ == module.__name__)


def store_location() -> str:
    """``MODEL_STORE``, else the folder ``build/store``; a relative folder is made absolute."""
    location = os.environ.get("MODEL_STORE") or str(BUILD / "store")
    return location if "://" in location else str(Path(location).expanduser().resolve())
