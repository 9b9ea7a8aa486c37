"""What makes a canary worse than the revision that serves."""

from typing import Any

import pytest

from deploy.cloud.canary import Record, records, verdict
from deploy.cloud.configuration import Canary

WANTED = Canary(percent=10, seconds=60, max_error_rate=0.01, max_slowdown=1.5)


def entry(revision: str, status: int, latency: str) -> dict[str, Any]:
    return {
        "resource": {"labels": {"revision_name": revision}},
        "httpRequest": {"status": status, "latency": latency},
    }


def test_the_log_is_counted_by_revision() -> None:
    logged: list[dict[str, Any]] = [
        entry("a", 200, "0.1s"),
        entry("a", 503, "0.3s"),
        entry("b", 404, "2s"),
        {"textPayload": "a line"},
    ]
    assert records(logged) == {"a": Record(2, 1, 0.2), "b": Record(1, 0, 2.0)}


@pytest.mark.parametrize(
    ("serving", "new", "why"),
    [
        pytest.param(Record(100, 0, 0.1), Record(10, 0, 0.1), "", id="as-good"),
        pytest.param(Record(100, 0, 0.1), Record(10, 1, 0.1), "1 of its 10 answers were errors, 10.0%", id="errors"),
        pytest.param(Record(100, 20, 0.1), Record(10, 2, 0.1), "", id="both-fail-alike"),
        pytest.param(Record(0, 0, 0.0), Record(3, 3, 0.1), "3 of its 3 answers were errors", id="nothing-to-compare"),
        pytest.param(
            Record(100, 0, 0.2),
            Record(10, 0, 0.4),
            "its median latency is 400 ms, and 200 ms that of the revision before: more than 1.5 times as much",
            id="slow",
        ),
        pytest.param(Record(100, 0, 0.002), Record(10, 0, 0.02), "", id="milliseconds-harm-nobody"),
        pytest.param(Record(4, 0, 0.2), Record(10, 0, 2.0), "", id="too-few-to-compare"),
    ],
)
def test_the_verdict(serving: Record, new: Record, why: str) -> None:
    told = verdict(serving, new, WANTED)
    assert told.startswith(why)
    assert bool(told) == bool(why)
