"""What is logged, instead of onto standard output."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from model_functions import logs
from model_functions.sink import Sink


class Lines(Sink):
    """Keeps what is written at a time."""

    def __init__(self) -> None:
        super().__init__(None, lambda count: b"")
        self.writes: list[str] = []

    def write(self, lines: bytes) -> None:
        self.writes.append(lines.decode())

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for text in self.writes for line in text.splitlines()]


@contextmanager
def written(level: str = "INFO") -> Iterator[Lines]:
    """From this level on."""
    lines = Lines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "sink", lines)
        log = logging.getLogger("model_functions")
        before, propagates = log.level, log.propagate
        logs.configure(level)
        try:
            yield lines
        finally:
            log.setLevel(before)
            log.propagate = propagates
