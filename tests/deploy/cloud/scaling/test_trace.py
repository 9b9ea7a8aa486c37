"""When requests come: drawn by a formula, or read from a file that says what is wrong with it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deploy.cloud.scaling import shape
from deploy.cloud.scaling.trace import Trace


def test_a_file_of_seconds_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text("0.5\n1\n\n90.25\n86400.5\n")
    trace = Trace.read(file)
    assert trace.times().tolist() == [0.5, 1, 90.25, 86400.5]
    assert trace.seconds == 2 * 86_400
    assert trace.expected == pytest.approx(4)
    assert trace.rates[:3].tolist() == pytest.approx([2 / 60, 1 / 60, 0])
    assert trace.counts(0.5)[:4].tolist() == [0, 1, 1, 0]


def test_a_file_of_cloud_loggings_times_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text("2026-11-20T10:00:00Z\n2026-11-20T10:00:01.123456789Z\n2026-11-20T13:00:00+02:00\n")
    trace = Trace.read(file)
    assert trace.begins == datetime(2026, 11, 20, tzinfo=UTC)
    assert trace.times().tolist() == pytest.approx([36_000, 36_001.123456, 39_600])
    assert trace.seconds == 86_400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "trace.txt is empty. A trace has a time in each line.", id="empty"),
        pytest.param("\n \n", "trace.txt is empty.", id="blank lines"),
        pytest.param("1\nsoon\n", 'trace.txt, line 2: "soon" is no time. Write seconds', id="a word"),
        pytest.param("1\n-2\n", 'trace.txt, line 2: "-2" is no time from 0 on.', id="negative"),
        pytest.param("nan\n", 'line 1: "nan" is no time from 0 on.', id="not a number"),
        pytest.param("2026-13-01T00:00:00Z\n", 'line 1: "2026-13-01T00:00:00Z" is no time.', id="no date"),
        pytest.param("5\n4\n", "time 2: 4.000 comes after 5.000. Sort the file", id="unsorted"),
        pytest.param("5\n2026-11-20T10:00:00Z\n", "begins with seconds and goes on with dates", id="mixed"),
    ],
)
def test_a_file_that_is_no_trace_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "trace.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(told)):
        Trace.read(file)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.txt cannot be read: .* Make it: gcloud logging read"):
        Trace.read(tmp_path / "nowhere.txt")
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="image cannot be read"):
        Trace.read(tmp_path / "image")


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")], ids=str)
def test_a_rate_that_is_none_is_told(rate: float) -> None:
    with pytest.raises(ValueError, match=f"A trace has a rate of {rate:g} requests a second. Give 0 or more."):
        Trace(np.array([1.0, rate]))
    with pytest.raises(ValueError, match=f"A rate of {rate:g} requests a second is no rate."):
        shape.day(rate, seed=0)


def test_a_trace_without_minutes_is_told() -> None:
    with pytest.raises(ValueError, match="A trace has no minutes"):
        Trace(np.empty(0))


def test_a_day_has_its_mean_its_night_and_its_bursts() -> None:
    days = [shape.day(10.0, seed) for seed in range(30)]
    assert all(one.mean_rate == pytest.approx(10) for one in days)
    together = np.mean([one.rates for one in days], axis=0)
    night, noon = together[:120].mean() + together[-120:].mean(), 2 * together[660:780].mean()
    assert night / noon == pytest.approx(shape.TROUGH, abs=0.1)
    phase = 1 - np.cos(2 * np.pi * np.arange(1440) / 1440) / 3
    bursts = np.concatenate([one.rates / phase for one in days])
    assert bursts.std() / bursts.mean() == pytest.approx(shape.VARIATION, abs=0.1)


def test_a_day_is_the_same_for_the_same_seed() -> None:
    assert np.array_equal(shape.day(3.0, 5).rates, shape.day(3.0, 5).rates)
    assert not np.array_equal(shape.day(3.0, 5).rates, shape.day(3.0, 6).rates)
    trace = shape.day(0.1, 5)
    assert np.array_equal(trace.times(1), trace.times(1))
    assert not np.array_equal(trace.times(1)[:10], trace.times(2)[:10])


def test_times_and_counts_follow_the_rates() -> None:
    trace = Trace(np.array([0.0, 50.0, 10.0]))
    times, counts = trace.times(1), trace.counts(0.5, 1)
    assert np.all(np.diff(times) >= 0)
    assert np.histogram(times, [0, 60, 120, 180])[0].tolist() == pytest.approx([0, 3000, 600], rel=0.15)
    assert counts.reshape(3, -1).sum(axis=1).tolist() == pytest.approx([0, 3000, 600], rel=0.15)
