"""A signed document as the dataclass that it must be: of what is signed, too, nothing is believed that does not fit."""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin

T = TypeVar("T")


def read(kind: type[T], value: Any) -> T:
    """The dataclass, all of whose fields the document has and no other.

    Raises ValueError, which names the field that is another than the class says.
    """
    return cast(T, _read(kind, value, ""))


def _read(kind: Any, value: Any, path: str) -> Any:
    # JSON's true is no number here, though Python's is; 1 is a float as well as 1.0.
    if type(value) is kind or kind is Any or (kind is float and type(value) is int):
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return origin(_read(arguments[0], one, f"{path}[{index}]") for index, one in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {_read(str, name, path): _read(arguments[1], one, f"{path}.{name}") for name, one in value.items()}
    if origin is UnionType and value is None:
        return None
    if origin is UnionType:
        return _read(arguments[0], value, path)
    raise ValueError(path)


def _dataclass(kind: Any, value: Any, path: str) -> Any:
    known = {field.name: field.type for field in fields(kind)}
    if not isinstance(value, dict) or value.keys() != known.keys():
        raise ValueError(path)
    return kind(**{name: _read(known[name], one, f"{path}.{name}" if path else name) for name, one in value.items()})
