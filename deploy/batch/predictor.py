"""A loaded model and many rows: the batches that a function makes, and for each row its own prediction or its error."""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from model_functions.errors import InsufficientMemory, ServingError, StoreUnavailable
from model_functions.loaded import LoadedModel
from model_functions.rows import Rows, RowWrapper, in_batches
from model_functions.wrapper import Prepared

#: What is no row's fault: the job stops, or its runner tries again.
NOT_THE_ROWS = (InsufficientMemory, StoreUnavailable, MemoryError)

#: Rows that are prepared before the first of them is read, of files and of others: files become pixels.
WINDOW_OF_FILES, WINDOW = 32, 1024

#: Answers that are written side by side, where a step takes hardly longer for several than for one.
WRITTEN = 16


class Outcome(NamedTuple):
    """What came of one row.

    Args:
        error: its code and its message; None where there is a prediction.
        seconds: that the model took for the batch which the row was in.
    """

    prediction: Any = None
    error: tuple[str, str] | None = None
    seconds: float = 0.0


class _Read(NamedTuple):
    """What the model gave for one of a wrapper's rows. Args: failure: what it raised."""

    output: Any
    failure: Exception | None
    seconds: float


class Predictor:
    """Any number of threads may ask: they prepare rows at the same time, and one of them runs the model."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self._lock = threading.Lock()

    def predict(self, items: Sequence[Any], parameters: Mapping[str, Any] | None = None) -> list[Outcome]:
        """One outcome for each item, in order; each is what a request's ``data`` may be.

        Raises NOT_THE_ROWS.
        """
        window = WINDOW_OF_FILES if self.model.wrapper.media else WINDOW
        parts = (items[start : start + window] for start in range(0, len(items), window))
        return [outcome for part in parts for outcome in self._predicted(part, parameters or {})]

    def _predicted(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> list[Outcome]:
        wrapper = self.model.wrapper
        if wrapper.writes_together:
            return self._written(items, parameters)
        if not isinstance(wrapper, RowWrapper):
            return [self._alone(item, parameters) for item in items]
        prepared = [self._prepared(item, parameters) for item in items]
        ready = [one for one in prepared if isinstance(one, Prepared)]
        read = iter(self._read(wrapper, ready))
        return [self._finished(one, next(read)) if isinstance(one, Prepared) else one for one in prepared]

    def _prepared(self, item: Any, parameters: Mapping[str, Any]) -> Prepared | Outcome:
        try:
            return self.model.wrapper.prepare(item, parameters)
        except NOT_THE_ROWS:
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a model may raise anything
            return failed(exc)

    def _read(self, wrapper: RowWrapper, prepared: list[Prepared]) -> list[list[_Read]]:
        """What the model gives for the rows of each."""
        if not prepared:
            return []
        rows = [row for one in prepared for row in one.features.rows]
        values = prepared[0].parameters
        with self._lock:
            outputs = iter(in_batches(rows, wrapper.limits, lambda features: _batch(wrapper, features, values)))
        return [[next(outputs) for _ in one.features.rows] for one in prepared]

    def _finished(self, prepared: Prepared, read: list[_Read]) -> Outcome:
        seconds = max((one.seconds for one in read), default=0.0)
        failure = next((one.failure for one in read if one.failure is not None), None)
        if failure is not None:
            return failed(failure, seconds)
        features: Rows = replace(prepared.features, outputs=[one.output for one in read])
        try:
            return Outcome(self.model.wrapper.finish(prepared, features), None, seconds)
        except NOT_THE_ROWS:
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a model may raise anything
            return failed(exc, seconds)

    def _written(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> list[Outcome]:
        """Of a wrapper that takes all answers a step further at once: when one ends, the next row's begins."""
        waiting = iter(enumerate(items))
        writing: dict[int, tuple[Generator[Any, None, Any], float]] = {}
        outcomes: dict[int, Outcome] = {}
        with self._lock:
            try:
                while len(outcomes) < len(items):
                    for number, item in islice(waiting, WRITTEN - len(writing)):
                        writing[number] = self.model.wrapper.steps(item, parameters), time.perf_counter()
                    for number, (steps, began) in list(writing.items()):
                        outcome = _stepped(steps, began)
                        if outcome is not None:
                            outcomes[number] = outcome
                            del writing[number]
            finally:
                for steps, _ in writing.values():
                    steps.close()
        return [outcomes[number] for number in range(len(items))]

    def _alone(self, item: Any, parameters: Mapping[str, Any]) -> Outcome:
        """Of a wrapper that reads each request by itself."""
        started = time.perf_counter()
        try:
            with self._lock:
                prediction = self.model.wrapper.predict(item, parameters)
        except NOT_THE_ROWS:
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a model may raise anything
            return failed(exc, time.perf_counter() - started)
        return Outcome(prediction, None, time.perf_counter() - started)


def failed(exc: BaseException, seconds: float = 0.0) -> Outcome:
    """What is told of a row: a caller's mistakes by their message, what nobody foresaw by its type too."""
    if isinstance(exc, ServingError):
        return Outcome(None, (exc.code, exc.message), seconds)
    return Outcome(None, ("model_error", f"The model raised {type(exc).__name__}: {exc}"), seconds)


def _stepped(steps: Generator[Any, None, Any], began: float) -> Outcome | None:
    """What came of the row, if this was the last step."""
    try:
        next(steps)
    except StopIteration as end:
        return Outcome(end.value, None, time.perf_counter() - began)
    except NOT_THE_ROWS:
        raise
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - a model may raise anything
        return failed(exc, time.perf_counter() - began)
    return None


def _batch(wrapper: RowWrapper, features: list[Any], values: dict[str, Any]) -> list[_Read]:
    """Reads the rows together; where that fails, each alone, so that one spoils no other."""
    started = time.perf_counter()
    try:
        outputs = wrapper.forward_rows(features, values)
        if len(outputs) != len(features):
            raise ValueError(f"{len(outputs)} outputs for {len(features)} rows")
    except NOT_THE_ROWS:
        raise
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - a model may raise anything
        if len(features) > 1:
            return [one for row in features for one in _batch(wrapper, [row], values)]
        failure = exc if isinstance(exc, Exception) else RuntimeError(f"SystemExit: {exc}")
        return [_Read(None, failure, time.perf_counter() - started)]
    seconds = time.perf_counter() - started
    return [_Read(output, None, seconds) for output in outputs]
