"""Long-running operations: they work in a thread, and are done some polls later."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.control_plane.routing import CODES, ApiError, Request

#: Polls that find an operation still running, even if its work is done.
POLLS = 1
LONGEST_S = 300


@dataclass
class Operation:
    name: str
    metadata: dict[str, Any]
    polls: int = POLLS
    response: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    def resource(self) -> dict[str, Any]:
        done = self.finished.is_set() and self.polls <= 0
        self.polls -= 1
        resource: dict[str, Any] = {"name": self.name, "metadata": self.metadata, "done": done}
        if done:
            resource |= {"error": self.error} if self.error else {"response": self.response or {}}
        return resource


class Operations:
    def __init__(self) -> None:
        self.by_name: dict[str, Operation] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(
        self,
        request: Request,
        prefix: str,
        metadata: dict[str, Any],
        work: Callable[[], dict[str, Any]],
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Works in the background; ``work`` returns the operation's response or raises ApiError."""
        fault = request.operation_fault
        with self._lock:
            operation = Operation(f"{prefix}/operations/operation-{len(self.by_name) + 1}".lstrip("/"), metadata)
            self.by_name[operation.name] = operation

        def run() -> None:
            try:
                time.sleep(fault.operation_delay if fault else 0)
                if fault and fault.operation_hold:
                    fault.operation_hold.wait(LONGEST_S)
                if fault and fault.operation_error:
                    raise ApiError(fault.status, fault.operation_error, fault.word)
                operation.response = work()
            except ApiError as exc:
                on_failure(str(exc))
                operation.error = {"code": CODES.get(exc.word, 2), "message": str(exc)}
            except Exception as exc:
                operation.error = {"code": 13, "message": f"The fake broke: {exc!r}"}
                raise
            finally:
                operation.finished.set()

        thread = threading.Thread(target=run, daemon=True, name=operation.name)
        self._threads.append(thread)
        thread.start()
        return operation.resource()

    def get(self, name: str) -> dict[str, Any]:
        if name not in self.by_name:
            raise ApiError(404, f"Operation {name} was not found.")
        return self.by_name[name].resource()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=30)
