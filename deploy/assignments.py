"""What options say: NAME=VALUE, NAME=LOW..HIGH, and examples."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model_functions.wrapper import ModelWrapper


def settings(cls: type[ModelWrapper], assignments: list[str]) -> dict[str, Any]:
    """The wrapper's settings, with the parameters' defaults under ``defaults``."""
    parameters = {parameter.name: parameter for parameter in cls.declared}
    defaults: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for assignment in assignments:
        name, text = _split(assignment)
        if name in parameters:
            defaults[name] = parameters[name].parse(text)
        elif name in ("max_characters", "max_items", "max_tokens") and text.isdecimal() and int(text) > 0:
            limits[name] = int(text)
        elif name in cls.settings:
            limits[name] = json_or_text(text)
        else:
            known = ", ".join(
                [*parameters, *cls.settings, "max_characters", "max_items", "max_tokens (positive integers)"]
            )
            raise ValueError(f"--set {assignment}: {cls.family} has no such setting. There are: {known}.")
    return {"defaults": defaults} | limits


def parameters(assignments: Iterable[str]) -> dict[str, Any]:
    """Of every prediction, by name; what they may be, the model says."""
    return {name: json_or_text(text) for name, text in map(_split, assignments)}


def bounds(text: str) -> tuple[str, tuple[float, float]]:
    name, _, limits = text.partition("=")
    low, _, high = limits.partition("..")
    try:
        return name, (float(low), float(high))
    except ValueError:
        raise ValueError(f"--bounds {text}: write NAME=LOW..HIGH, as num_beams=1..4.") from None


def json_or_text(text: str) -> Any:
    if text.startswith("@") and Path(text[1:]).is_file():
        return base64.b64encode(Path(text[1:]).read_bytes()).decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _split(assignment: str) -> tuple[str, str]:
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"--set {assignment}: write NAME=VALUE.")
    return name, text
