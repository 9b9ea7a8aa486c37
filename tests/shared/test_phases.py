import json
from types import SimpleNamespace

import pytest

from model_functions import phases as module
from model_functions.phases import Phases, timing_json


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    return clock


def test_phases_add_up_to_the_wall_time(time: Clock) -> None:
    phases = Phases()
    with phases("load"):
        time.sleep(0.02)
        with phases("import"):
            time.sleep(0.03)
            with phases("load"):
                time.sleep(0.01)
    time.sleep(0.02)
    assert phases.ledger() == {"load": 30.0, "import": 30.0, "other": 20.0, "total": 80.0}
    assert list(phases.ledger()) == ["load", "import", "other", "total"]


def test_a_phase_ends_where_it_fails(time: Clock) -> None:
    phases = Phases()
    with pytest.raises(ZeroDivisionError), phases("load"):
        raise ZeroDivisionError
    time.sleep(0.01)
    assert phases.ledger() == {"load": 0.0, "other": 10.0, "total": 10.0}


def test_counting_may_begin_earlier() -> None:
    phases = Phases()
    with phases("load"):
        pass
    phases.start_earlier(phases.started - 1.0, boot=0.7, idle=0.3)
    ledger = phases.ledger()
    assert list(ledger)[:2] == ["boot", "idle"]
    assert (ledger["total"], ledger["other"]) == (1000.0, 0.0)


def test_the_header_ends_with_the_total() -> None:
    phases = Phases()
    phases.record("infer", 0.0123)
    assert phases.timing() == "infer;dur=12.3, other;dur=-12.3, total;dur=0.0"
    told = json.loads(timing_json(phases.timing()))
    assert (list(told), told["infer"]) == (["infer", "other", "total"], 12.3)


def test_what_another_thread_did_is_counted_once(time: Clock) -> None:
    phases = Phases()
    other = phases.of_another_thread()
    other.start_earlier(phases.started - 1.0, boot=1.0)
    with other("load"):
        time.sleep(0.01)
    phases.add(other)
    assert phases.ledger() == {"boot": 1000.0, "load": 10.0, "other": 0.0, "total": 1010.0}
