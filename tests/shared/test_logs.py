import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from model_functions import logs


class Output(io.StringIO):
    """Standard output that keeps what was written at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@contextmanager
def written() -> Iterator[Output]:
    output = Output()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        yield output
    logs._collected.clear()


def tell(number: int) -> None:
    logs.answered("door", "POST", "/predict", 200, f"id{number}", 0.0123, [("infer", "1.5"), ("total", "12.3")])


def test_a_requests_line_is_json() -> None:
    with written() as output:
        tell(1)
    [line] = output.writes
    entry = json.loads(line)
    assert entry.pop("time")[10] == "T"
    assert entry == {
        "severity": "INFO",
        "message": "POST /predict 200",
        "logger": "door",
        "request_id": "id1",
        "status": 200,
        "milliseconds": 12.3,
        "phases": {"infer": 1.5, "total": 12.3},
    }


def test_the_lines_of_one_round_are_written_together_and_other_threads_at_once() -> None:
    rounds: list[Callable[[], None]] = []
    with written() as output:
        logs.collect(rounds.append)
        tell(1)
        tell(2)
        assert output.writes == []
        other = threading.Thread(target=tell, args=(3,))
        other.start()
        other.join()
        [write] = rounds
        write()
        tell(4)
        assert len(rounds) == 2
        rounds[1]()
    ids = [[json.loads(line)["request_id"] for line in text.splitlines()] for text in output.writes]
    assert ids == [["id3"], ["id1", "id2"], ["id4"]]


def test_nothing_is_lost_once_the_loop_is_closed() -> None:
    def closed(write: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    with written() as output:
        logs.collect(closed)
        tell(1)
    assert len(output.writes) == 1


def test_in_a_site_a_request_is_a_record_of_its_logging(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_is_the_sites", False)
    logs.leave_to_the_site()
    with caplog.at_level("INFO", "door"):
        tell(1)
    [record] = caplog.records
    assert record.getMessage() == "POST /predict 200 in 12.3 ms"
    assert record.__dict__["request_id"] == "id1"
