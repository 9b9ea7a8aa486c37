"""A model that raises, answers or takes what it is told to: ``WHERE WHAT``; whatever else it is asked is its answer.

WHERE is a step of it, or ``answer``.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from model_functions.wrapper import ModelWrapper


class Unspeakable(Exception):
    """What cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def deep(depth: int = 0) -> int:
    return deep(depth + 1) + 1


def large() -> bytes:
    return bytes(1 << 62)


def thrown(exc: BaseException) -> Callable[[], Any]:
    def throw() -> Any:
        raise exc

    return throw


RAISED: dict[str, Callable[[], Any]] = {
    "exit": lambda: sys.exit(3),
    "KeyboardInterrupt": thrown(KeyboardInterrupt()),
    "GeneratorExit": thrown(GeneratorExit()),
    "StopIteration": thrown(StopIteration(1)),
    "CancelledError": thrown(asyncio.CancelledError()),
    "TimeoutError": thrown(TimeoutError()),
    "ConnectionResetError": thrown(ConnectionResetError()),
    "RecursionError": deep,
    "MemoryError": large,
    "BaseExceptionGroup": thrown(BaseExceptionGroup("several", [SystemExit(1), KeyboardInterrupt()])),
    "Unspeakable": thrown(Unspeakable()),
}

WITHIN_ITSELF: list[Any] = []
WITHIN_ITSELF.append(WITHIN_ITSELF)
ANSWERS: dict[str, Any] = {
    "NaN": float("nan"),
    "bytes": b"x",
    "set": {1},
    "surrogate": "\ud800",
    "itself": WITHIN_ITSELF,
}


class Raising(ModelWrapper):
    family, task, engine_name = "tabular", "raising", "python"

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        do("preprocess", items)
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        # What takes no time runs where it is asked, where nobody could give it up.
        time.sleep(0.01)
        do("forward", features)
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[Any]:
        do("postprocess", outputs)
        return [ANSWERS.get(one.removeprefix("answer "), one) for one in outputs]


def do(step: str, items: list[str]) -> None:
    for item in items:
        where, _, what = item.partition(" ")
        if where != step:
            continue
        if what in RAISED:
            RAISED[what]()
        time.sleep(float(what))
