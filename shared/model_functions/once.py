"""A value that is made when it is first needed, by one thread."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Calls ``make`` at the first call that does not fail, and gives its value ever after."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: list[T] = []
        self._lock = threading.Lock()

    @property
    def is_made(self) -> bool:
        return bool(self._values)

    def __call__(self) -> T:
        if not self._values:
            with self._lock:
                if not self._values:
                    self._values.append(self._make())
        return self._values[0]
