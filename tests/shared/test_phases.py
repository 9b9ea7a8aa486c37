import json
import time

import pytest

from model_functions.phases import Phases, timing_json


def test_phases_add_up_to_the_wall_time() -> None:
    started = time.perf_counter()
    phases = Phases()
    with phases("load"):
        time.sleep(0.02)
        with phases("import"):
            time.sleep(0.03)
            with phases("load"):
                time.sleep(0.01)
    time.sleep(0.02)
    ledger = phases.ledger()
    wall = (time.perf_counter() - started) * 1000
    total = ledger.pop("total")
    assert sum(ledger.values()) == pytest.approx(total, abs=0.5)
    assert total == pytest.approx(wall, abs=2)
    assert list(ledger) == ["load", "import", "other"]
    assert (ledger["load"], ledger["import"], ledger["other"]) == pytest.approx((30, 30, 20), abs=8)


def test_a_phase_ends_where_it_fails() -> None:
    phases = Phases()
    with pytest.raises(ZeroDivisionError), phases("load"):
        raise ZeroDivisionError
    time.sleep(0.01)
    assert phases.ledger()["load"] < 5


def test_counting_may_begin_earlier() -> None:
    phases = Phases()
    with phases("load"):
        pass
    phases.start_earlier(phases.started - 1.0, boot=0.7, idle=0.3)
    ledger = phases.ledger()
    assert list(ledger)[:2] == ["boot", "idle"]
    assert ledger["total"] == pytest.approx(1000, abs=20)
    assert ledger["other"] == pytest.approx(0, abs=20)


def test_the_header_ends_with_the_total() -> None:
    phases = Phases()
    phases.record("infer", 0.0123)
    assert phases.timing().startswith("infer;dur=12.3, other;dur=-1")
    assert phases.timing().rpartition(", ")[2].startswith("total;dur=")
    told = json.loads(timing_json(phases.timing()))
    assert (list(told), told["infer"]) == (["infer", "other", "total"], 12.3)


def test_what_another_thread_did_is_counted_once() -> None:
    phases = Phases()
    other = phases.of_another_thread()
    other.start_earlier(phases.started - 1.0, boot=1.0)
    with other("load"):
        time.sleep(0.01)
    phases.add(other)
    ledger = phases.ledger()
    assert list(ledger) == ["boot", "load", "other", "total"]
    assert ledger["total"] == pytest.approx(1010, abs=20)
    assert ledger["other"] == pytest.approx(0, abs=10)
