"""What must hold: ``--min accuracy=0.95``, ``--max perplexity=12``, ``--max-drop entity_f1=0.01``, ``--max-errors``."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from deploy.evaluation.kinds import Kind
from deploy.evaluation.metric import Metric

#: Figures that differ by less are equal: 0.95 - 0.94 is a little more than 0.01.
_ROUNDING = 1e-9


class Limit(NamedTuple):
    """Args: option: ``min``, ``max`` or ``max-drop``."""

    option: str
    metric: Metric
    value: float

    def __str__(self) -> str:
        return f"--{self.option} {self.metric.name}={self.value:g}"


class Verdict(NamedTuple):
    text: str
    met: bool


def parsed(option: str, texts: Iterable[str], kind: Kind) -> list[Limit]:
    """Raises ValueError for what no data could meet or miss."""
    return [_parsed(option, text, kind) for text in texts]


def _parsed(option: str, text: str, kind: Kind) -> Limit:
    name, equals, number = text.partition("=")
    known = {metric.name: metric for metric in kind.metrics}
    if name not in known:
        raise ValueError(
            f'--{option} {text}: there is no metric "{name}" for these labels. There are: {", ".join(known)}.'
        )
    value = _number(number)
    if not equals or value is None or (option == "max-drop" and value < 0):
        raise ValueError(f"--{option} {text}: write NAME=NUMBER, as {name}=0.01.")
    wrong_way = {"min": known[name].lower_is_better, "max": not known[name].lower_is_better}.get(option)
    if wrong_way:
        other, better = ("max", "lower") if option == "min" else ("min", "higher")
        raise ValueError(f"--{option} {text}: a {better} {name} is better. Say --{other} {text}.")
    return Limit(option, known[name], value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def check(limit: Limit, now: Mapping[str, float], before: Mapping[str, float] | None) -> Verdict:
    """Raises ValueError where the data does not define the metric.

    Args:
        before: of the other revision, over the same rows.
    """
    name = limit.metric.name
    for scores in (now, before):
        if scores is not None and name not in scores:
            raise ValueError(f"{limit}: there is no {name} here, because {limit.metric.undefined}.")
    if limit.option == "min":
        return Verdict(f"{limit}: {now[name]:.4f}", now[name] >= limit.value - _ROUNDING)
    if limit.option == "max":
        return Verdict(f"{limit}: {now[name]:.4f}", now[name] <= limit.value + _ROUNDING)
    if before is None:
        raise ValueError(f"{limit}: worse than what? Say --against.")
    drop = limit.metric.drop(before[name], now[name])
    return Verdict(f"{limit}: {before[name]:.4f} before, {now[name]:.4f} now", drop <= limit.value + _ROUNDING)


def check_errors(errors: int, most: int) -> Verdict:
    return Verdict(f"--max-errors {most}: {errors:,} without an answer", errors <= most)
