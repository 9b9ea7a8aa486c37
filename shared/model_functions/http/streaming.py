"""A prediction as server-sent events: its pieces while they come about, then the whole, or what went wrong."""

import json
import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any, Self

from model_functions.errors import ServingError
from model_functions.http.errors import refuse
from model_functions.http.message import EVENTS, Request, Response

log = logging.getLogger(__name__)


class EventStream:
    """Events as the chunks of a body; what fails in the middle of it is told as its last one.

    Args:
        held: what is let go of once nobody reads on.
        media_type: of the whole; in another than events the last one is the error alone.
    """

    def __init__(self, events: Iterator[bytes], held: ExitStack, request: Request, media_type: str = EVENTS) -> None:
        self._events = events
        self._held = held
        self._request = request
        self._media_type = media_type

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._events)
        except StopIteration:
            self.close()
            raise
        except ServingError as error:
            return self._failed(error)
        except Exception:
            log.exception("stream failed", extra={"fields": {"request_id": self._request.id}})
            text = "Something went wrong here. The function's log has it under this request id."
            return self._failed(ServingError(text))

    def close(self) -> None:
        self._held.close()

    def _failed(self, error: ServingError) -> bytes:
        self.close()
        self._events = iter(())
        if error.status >= 500:
            self._request.trouble = error.message
        refused = (self._request.refuse or refuse)(error, self._request)
        if not self._media_type.startswith(EVENTS):
            return refused.body
        # Clients that know no event of that name see the message alone.
        return event("error", json.loads(refused.body))


def event(name: str | None, value: Any) -> bytes:
    """One event; without a name it is a plain message. Raises ValueError for a NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    kind = "" if name is None else f"event: {name}\n"
    return f"{kind}data: {text}\n\n".encode()


def named(pieces: Generator[Any, None, Any]) -> Iterator[tuple[str | None, Any]]:
    """The pieces without a name, then what the generator returns as the ``answer``."""
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            yield "answer", end.value
            return
        yield None, piece


def streamed(stream: EventStream, headers: dict[str, str]) -> Response:
    # nginx and its like would else collect the pieces.
    return Response(headers={"Content-Type": EVENTS, "X-Accel-Buffering": "no"} | headers, chunks=stream)
