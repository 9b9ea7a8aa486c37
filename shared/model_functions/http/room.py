"""How many bytes of bodies are held at a time: all requests that run at once could else bring more than there is."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from model_functions import memory
from model_functions.errors import Overloaded
from model_functions.once import Once

if TYPE_CHECKING:
    from model_functions.http.message import Request

#: Bytes of a body that nobody counts, and by which the count of one grows that does not say its length.
SMALL = 64 * 1024
GRAIN = 1024 * 1024


class Room:
    """Shared by all requests of a function.

    Args:
        size: bytes of all bodies that are held at a time; one alone may have more. Asked for when first needed.
    """

    def __init__(self, size: Callable[[], int]) -> None:
        self._size = Once(size)
        self._held = 0
        self._lock = threading.Lock()

    def take(self, request: "Request", count: int) -> None:
        """Counts so many bytes for the request's body, all in all. Raises Overloaded."""
        with self._lock:
            others = self._held - request.held
            if others and others + count > self._size():
                raise Overloaded(
                    f"The instance holds {others} bytes of other requests' bodies and has no room for {count} more. "
                    "Ask again, or send less at once.",
                    retry_after=1,
                )
            self._held, request.held = others + count, count
        if count > GRAIN:
            # Sixteen threads that each keep as much have twice the room, which is what models leave free.
            memory.keep_freed(self._size() // 8)

    def give(self, request: "Request") -> None:
        """The body is held no longer."""
        with self._lock:
            self._held -= request.held
            request.held = 0
