"""What a request may turn: declared parameters with types, defaults and bounds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_functions.errors import InvalidInput

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "strings": (list,),
}
#: Characters of each string of a list.
_LONGEST = 100
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter, in JSON Schema's terms.

    Args:
        type: ``integer``, ``number``, ``boolean``, ``string``, or ``strings`` for a list of them.
        default: what holds when a request is silent; None leaves the choice to the model.
        minimum, maximum: inclusive bounds of a number; for a string, of its length in characters; for a list, of how
            many there are.
        choices: the only strings allowed.
    """

    name: str
    type: str
    description: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> Any:
        """``value``, if it has the type and lies within the bounds. Raises InvalidInput."""
        if value is None and self.default is None:
            return None
        if not self._has_type(value):
            raise self._refused(f"{_shown(value)} is no {self._noun()}")
        if self.type == "strings":
            self._check_strings(value)
        if self.choices and value not in self.choices:
            raise self._refused(f"{_shown(value)} is none of {', '.join(self.choices)}")
        self._check_bounds(value)
        # JSON's 2 is a number; what computes with it may want Python's 2.0.
        return float(value) if self.type == "number" else value

    def parse(self, text: str) -> Any:
        """The value that a query string spells; a list as JSON, or the only string in it. Raises InvalidInput."""
        if self.type == "string":
            return self.check(text)
        if self.type == "strings":
            return self.check(_strings(text))
        try:
            value = _WORDS[text.lower()] if self.type == "boolean" else _number(text)
        except (KeyError, ValueError):
            raise self._refused(f"{_shown(text)} is no {self._noun()}") from None
        return self.check(value)

    def published(self, *, default: Any = None, bounds: tuple[float, float] | None = None) -> "Parameter":
        """The same parameter with a publisher's default and bounds, which may only narrow the declared ones.

        Raises InvalidInput when they do not fit each other or the declaration.
        """
        changed = self
        if bounds is not None:
            low, high = bounds
            if not self._within(low) or not self._within(high) or low > high:
                raise self._refused(f"bounds {low:g} to {high:g} do not lie inside the declared ones")
            changed = replace(changed, minimum=low, maximum=high)
            if default is None and isinstance(self.default, int | float):
                default = min(max(self.default, low), high)
        return changed if default is None else replace(changed, default=changed.check(default))

    def schema(self) -> dict[str, Any]:
        """The parameter as a JSON Schema, default included."""
        schema: dict[str, Any] = {"type": self.type, "description": self.description}
        if self.type == "strings":
            schema |= {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": _LONGEST}}
        low, high = _BOUNDS.get(self.type, ("minimum", "maximum"))
        facts = {low: self.minimum, high: self.maximum, "default": self.default, "enum": list(self.choices) or None}
        return schema | {key: fact for key, fact in facts.items() if fact is not None}

    def _has_type(self, value: Any) -> bool:
        # JSON's true is no number, though Python's is.
        if isinstance(value, bool):
            return self.type == "boolean"
        return isinstance(value, _PYTHON_TYPES[self.type])

    def _noun(self) -> str:
        return "list of strings" if self.type == "strings" else self.type

    def _check_strings(self, values: list[Any]) -> None:
        for value in values:
            if not isinstance(value, str):
                raise self._refused(f"{_shown(value)} is no string")
            if not 1 <= len(value) <= _LONGEST:
                raise self._refused(f"a text of {len(value)} characters is out of bounds")

    def _check_bounds(self, value: Any) -> None:
        size = len(value) if self.type in _BOUNDS else value
        if isinstance(size, bool) or self._within(size):
            return
        what = {"string": f"a text of {size} characters", "strings": f"a list of {size}"}.get(self.type, _shown(value))
        raise self._refused(f"{what} is out of bounds")

    def _within(self, size: float) -> bool:
        # A NaN fails both comparisons, and so is never within bounds.
        above = self.minimum is None or size >= self.minimum
        below = self.maximum is None or size <= self.maximum
        return above and below

    def _refused(self, what: str) -> InvalidInput:
        return InvalidInput(f"parameters.{self.name}", f'"{self.name}": {what}. Give {self._way_out()}.')

    def _way_out(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.type == "string":
            return f"a string of at most {self.maximum:g} characters" if self.maximum is not None else "a string"
        if self.type == "strings":
            count = "" if self.maximum is None else f"at most {self.maximum:g} "
            return f"a list of {count}strings of 1 to {_LONGEST} characters"
        if self.minimum is not None and self.maximum is not None:
            return f"{_ARTICLES[self.type]} from {self.minimum:g} to {self.maximum:g}"
        return "true or false" if self.type == "boolean" else _ARTICLES[self.type]


_ARTICLES = {"integer": "an integer", "number": "a number"}
#: JSON Schema's words for how long a value may be.
_BOUNDS = {"string": ("minLength", "maxLength"), "strings": ("minItems", "maxItems")}


def check_names(declared: Mapping[str, Parameter], names: Iterable[str]) -> None:
    """Refuses a name that is not declared."""
    for name in names:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise InvalidInput(
                f"parameters.{name}", f"{_shown(name)} is no parameter of this model. Its parameters: {known}."
            )


def check_parameters(declared: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared parameter's value for a request: what was given, else the default.

    Raises InvalidInput for a name that is not declared, a wrong type, a value out of bounds.
    """
    check_names(declared, given)
    return {name: p.check(given[name]) if name in given else p.default for name, p in declared.items()}


def _strings(text: str) -> Any:
    if not text.startswith("["):
        return [text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _shown(value: Any) -> str:
    """A caller's value in a message: short, and in JSON's spelling."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
