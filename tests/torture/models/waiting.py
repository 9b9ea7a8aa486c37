"""A model that takes as long as it is asked to: ``wait 0.25`` waits, ``work 0.25`` keeps a core busy, and ``hold 3``
holds Python's lock so that no other thread of the process does anything. ``say`` whatever is answered at once.
"""

import hashlib
import os
import re
import time
from collections.abc import Generator
from typing import Any

from model_functions.wrapper import STREAM, ModelWrapper

_BLOCK = bytes(1 << 20)


class Waiting(ModelWrapper):
    """An answer is what was asked."""

    family, task, engine_name = "tabular", "waiting", "python"

    def __setstate__(self, state: dict[str, Any]) -> None:
        """``WAITING_LOAD_S`` of the environment is how long it takes to load."""
        time.sleep(float(os.environ.get("WAITING_LOAD_S", "0")))
        self.__dict__.update(state)

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        for feature in features:
            pass_time(feature)
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[str]:
        return outputs


class Writing(Waiting):
    """The same for each word that comes behind, one at a time: ``wait 0.1 one two three``."""

    declared = (STREAM,)

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        return [_words(feature) for feature in features]

    def stream(self, data: Any, parameters: dict[str, Any] | None = None) -> Generator[dict[str, Any], None, Any]:  # type: ignore[override]
        kind, seconds, *words = str(data).split()
        for word in words:
            pass_time(f"{kind} {seconds}")
            yield {"token": word}
        return " ".join(words)


def _words(asked: str) -> str:
    kind, seconds, *words = asked.split()
    for _ in words:
        pass_time(f"{kind} {seconds}")
    return " ".join(words)


def pass_time(asked: str) -> None:
    kind, _, seconds = asked.partition(" ")
    if kind == "say":
        return
    until = time.monotonic() + float(seconds or 0)
    if kind == "wait" and float(seconds):
        # Not for nothing: a sleep gives up Python's lock, which no model does for each of its rows.
        time.sleep(float(seconds))
    while kind == "work" and time.monotonic() < until:
        # Lets go of Python's lock, as engines do.
        hashlib.sha256(_BLOCK)
    length = 20
    while kind == "hold" and time.monotonic() < until:
        began = time.monotonic()
        # Twice as long with each letter, and nothing in between looks whether anybody else wants the lock.
        re.match(r"(a+)+$", "a" * length + "b")
        if time.monotonic() + 2 * (time.monotonic() - began) < until:
            length += 1
