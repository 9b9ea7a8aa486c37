"""What a test lets go wrong."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.fakes.control_plane.routing import ApiError, Request

MESSAGES = {
    403: "The caller does not have permission",
    409: "There was a concurrent change. Please retry the whole read-modify-write with exponential backoff.",
    429: "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute'.",
    503: "The service is currently unavailable.",
}


@dataclass
class Fault:
    """What goes wrong with the requests it matches: they are refused, or their operation fails or is slow.

    Args:
        method: ``*`` is any, ``change`` whatever is no question.
        path: a pattern of the path, which begins with the API's name.
        times: counts down; None is always.
        after: so many matching requests go well first.
        operation_error: the message with which the operation ends; ``status`` then counts no more.
        operation_delay: seconds that the operation takes longer.
        operation_hold: until it is set, the operation goes on.
        then: what is done when the request comes, which then is answered as if nothing were.
    """

    method: str = "*"
    path: str = "*"
    times: int | None = 1
    after: int = 0
    status: int = 503
    message: str = ""
    word: str = ""
    operation_error: str = ""
    operation_delay: float = 0.0
    operation_hold: threading.Event | None = None
    then: Callable[[], object] | None = None

    def matches(self, request: Request) -> bool:
        is_method = self.method in ("*", request.method) or (self.method == "change" and request.is_change)
        return self.times != 0 and is_method and fnmatchcase(request.path.lstrip("/"), self.path)


class Faults:
    """Those that are switched on."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, method: str = "*", path: str = "*", **effects: Any) -> Fault:
        """``effects`` are Fault's fields."""
        fault = Fault(method, path, **effects)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()

    def meet(self, request: Request) -> None:
        """Raises the ApiError that a fault wants, or marks the request's operation."""
        fault = self._take(request)
        if fault is None:
            return
        if fault.then is not None:
            fault.then()
            return
        if fault.operation_error or fault.operation_delay or fault.operation_hold:
            request.operation_fault = fault
            return
        word = fault.word or ("ABORTED" if fault.status == 409 else "")
        raise ApiError(fault.status, fault.message or MESSAGES.get(fault.status, "Injected."), word)

    def _take(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not fault.matches(request):
                    continue
                if fault.after == 0:
                    fault.times = fault.times and fault.times - 1
                    return fault
                fault.after -= 1
        return None
