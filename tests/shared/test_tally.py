import time

import pytest

from model_functions.tally import Tally
from tests.shared.http.requests import get


def test_answers_and_failures_are_counted_with_what_they_took() -> None:
    tally = Tally()
    for items in (1, 3):
        request = get("/predict")
        with tally.counting(request):
            request.phases.record("queue", 0.25)
            request.phases.record("infer", 0.5)
            tally.read(items)
            request.came -= 1
    with pytest.raises(ValueError, match="wrong"), tally.counting(get("/predict")):
        raise ValueError("wrong")
    assert (tally.answered, tally.failed, tally.items) == (2, 1, 4)
    assert (tally.queue_s, tally.infer_s) == (0.5, 1.0)
    assert tally.answered_s == pytest.approx(2, abs=0.9)
    assert tally.input_s + tally.output_s + tally.queue_s + tally.infer_s == pytest.approx(tally.answered_s)
    assert 0 < tally.failed_s < 0.9
    assert tally.latest == pytest.approx(time.time(), abs=60)
