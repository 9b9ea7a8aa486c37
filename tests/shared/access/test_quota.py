import threading

import pytest

from model_functions.access.quota import TokenBucket
from tests.shared.clocks import Clock


def test_a_burst_at_once_and_then_the_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 20, clock)
    assert [bucket.take() for _ in range(20)] == [0] * 20
    assert bucket.take() == pytest.approx(0.1)
    clock.now += 0.1
    assert bucket.take() == 0
    assert bucket.take() > 0
    clock.now += 1000
    assert [bucket.take() for _ in range(20)] == [0] * 20, "no more than a burst collects"
    assert bucket.take() > 0


def test_50_a_second_for_10_seconds_of_which_10_may() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 20, clock)
    admitted = 0
    for _ in range(500):
        clock.now += 0.02
        admitted += bucket.take() == 0
    assert 114 <= admitted <= 126


def test_no_two_threads_take_the_same_token() -> None:
    bucket = TokenBucket(1e-9, 1000, Clock())
    taken: list[bool] = []

    def take() -> None:
        taken.extend(bucket.take() == 0 for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), sum(taken)) == (4000, 1000)
