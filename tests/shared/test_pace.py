import pytest

from model_functions.pace import Pace


@pytest.fixture
def pace() -> Pace:
    """Of a model that takes a fifth of a millisecond."""
    pace = Pace()
    for _ in range(50):
        pace.ran(0.0002, 1)
    return pace


def test_the_first_run_tells_nothing() -> None:
    pace = Pace()
    pace.ran(3.0, 1)
    assert (pace.expected(1), pace.is_short, pace.is_quick(1)) == (0, False, False)


def test_one_hiccup_leaves_a_model_on_the_loop_and_a_second_does_not(pace: Pace) -> None:
    pace.ran(0.2, 1)
    assert pace.is_short
    assert pace.expected(1) == pytest.approx(0.0002)
    pace.ran(0.0002, 1)
    pace.ran(0.2, 1)
    assert pace.is_short
    pace.ran(0.2, 1)
    assert not pace.is_short
    assert pace.expected(1) > 0.01


def test_whoever_has_taken_long_lately_is_not_run_by_who_asks(pace: Pace) -> None:
    assert pace.is_quick(1)
    pace.ran(0.2, 1)
    assert not pace.is_quick(1)
    for _ in range(200):
        pace.ran(0.0002, 1)
    assert pace.is_quick(1)


def test_a_larger_batch_is_no_hiccup(pace: Pace) -> None:
    for _ in range(40):
        pace.ran(0.0128, 64)
    assert pace.expected(64) == pytest.approx(0.0128, rel=0.1)
    assert not pace.is_short
