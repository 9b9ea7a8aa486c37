"""What functions cost: the formulas, by sums done by hand."""

import re
from typing import Any

import pytest

from deploy.cloud import costs
from deploy.cloud.costs import MONTH_S, Prices, Size

PRICES = Prices("2026-01-01", active=(0.00002, 0.000002), idle=(0.000002, 0.000002), request=0.000001, job_month=0.1)
LARGE = Size(vcpus=2, gib=4, concurrency=8)


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        pytest.param({"--memory": "4Gi", "--cpu": 2, "--concurrency": 8}, LARGE, id="all said"),
        pytest.param({"--memory": "512Mi", "--cpu": "1"}, Size(1, 0.5), id="mebibytes"),
        pytest.param({"--memory": "1GiB"}, Size(0.583, 1), id="CPUs by the memory"),
        pytest.param({}, Size(0.167, 0.25), id="nothing said"),
    ],
)
def test_a_size_is_read_off_the_flags(flags: dict[str, Any], size: Size) -> None:
    assert Size.of(flags) == size


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param({"--memory": "4 cups"}, '"--memory: 4 cups" is no size', id="no size"),
        pytest.param({"--memory": "3Gi"}, '"--memory: 3Gi" has no usual number of CPUs', id="no CPUs"),
    ],
)
def test_flags_that_say_no_size_are_told(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Size.of(flags)


def test_time_is_billed_in_steps() -> None:
    assert [costs.billed(seconds) for seconds in (0.001, 0.1, 0.101, 0.3, 5)] == pytest.approx([0.1, 0.1, 0.2, 0.3, 5])


def test_pings_cost_their_job_and_their_seconds() -> None:
    second = 2 * 0.00002 + 4 * 0.000002
    assert costs.pings(PRICES, LARGE, 1000, 5) == pytest.approx(0.1 + 1000 * (5 * second + 0.000001))


def test_a_kept_instance_costs_all_the_month() -> None:
    assert costs.kept(PRICES, LARGE) == pytest.approx(MONTH_S * 6 * 0.000002)


def test_traffic_costs_each_request_alone_until_instances_are_never_idle() -> None:
    second, requests = 2 * 0.00002 + 4 * 0.000002, MONTH_S * 0.000001
    assert costs.traffic(PRICES, LARGE, 1, 0.03) == pytest.approx(MONTH_S * 0.1 * second + requests)
    # 100 x 0.03 s are 3 instances' work, of whose time 60 % is used.
    assert costs.traffic(PRICES, LARGE, 100, 0.03) == pytest.approx(MONTH_S * 5 * second + 100 * requests)
    assert costs.traffic(PRICES, LARGE, 100, 0.03, at_once=8) == pytest.approx(MONTH_S * second + 100 * requests)
    assert costs.traffic(PRICES, LARGE, 0, 0.03) == 0


def test_the_file_of_prices_says_when_and_where_they_were_read() -> None:
    prices = Prices.read_file()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", prices.read)
    # Idle is the cheaper: else --min-instances would be compared with the wrong figure.
    assert prices.idle[0] < prices.active[0]
    assert "https://cloud.google.com/run/pricing" in costs.PRICES_FILE.read_text()
