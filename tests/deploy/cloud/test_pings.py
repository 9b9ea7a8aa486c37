"""warmup.yaml: what it may say, how often it pings, and the job that it becomes."""

import base64
import re
from typing import Any

import pytest

from deploy.cloud.pings import Pings, flags_of, job_name
from deploy.project import function_families


@pytest.mark.parametrize(
    ("schedule", "number", "gap"),
    [
        pytest.param("*/5 * * * *", 8640, 5, id="every five minutes"),
        pytest.param("0 * * * *", 720, 60, id="hourly"),
        pytest.param("*/10 8-17 * * 1-5", 22 * 60, 62 * 60 + 10, id="in office hours"),
        pytest.param("0 3 1 * *", 1, float("inf"), id="monthly"),
    ],
)
def test_pings_are_counted_in_thirty_days(schedule: str, number: int, gap: float) -> None:
    pings = Pings.read({"--schedule": schedule})
    assert (pings.a_month(), pings.longest_gap_minutes()) == (number, gap)


def test_a_time_zone_moves_no_ping_out_of_the_month() -> None:
    assert Pings.read({"--schedule": "*/5 * * * *", "--time-zone": "Asia/Tokyo"}).a_month() == 8640


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"--schedule": "every 5 minutes"}, '"--schedule: every 5 minutes" is no cron', id="words"),
        pytest.param({"--schedule": "61 * * * *"}, '"--schedule: 61 * * * *" is no cron schedule: Bad minute', id="61"),
        pytest.param({"--schedule": "* * * * * *"}, "of five fields", id="six fields"),
        pytest.param({"--time-zone": "Mars/Olympus"}, '"--time-zone: Mars/Olympus" is no time zone', id="zone"),
        pytest.param({"--attempt-deadline": "10s"}, '"--attempt-deadline: 10s" is not from 15s to 30m', id="deadline"),
        pytest.param({"--attempt-deadline": "1h"}, "is not from 15s to 30m", id="deadline's unit"),
        pytest.param({"--max-retry-attempts": 6}, '"--max-retry-attempts: 6" is not from 0 to 5', id="retries"),
        pytest.param({"--message-body": "warm!"}, '"--message-body: warm!" is no body of POST /warmup', id="body"),
        pytest.param({"--headers": "X=1"}, '"--headers" does not belong there. Known: --schedule', id="unknown flag"),
    ],
)
def test_a_mistake_is_told_with_its_value(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Pings.read({"--schedule": "*/5 * * * *"} | changes)


def test_a_file_without_a_schedule_is_told() -> None:
    with pytest.raises(ValueError, match='it has no "--schedule"'):
        Pings.read({"--time-zone": "Etc/UTC"})


def test_every_warmup_yaml_of_the_tree_can_work() -> None:
    found = [family for family in function_families() if Pings.of(family) is not None]
    assert "gateway" in found


def test_a_job_has_the_flags_that_it_was_made_with() -> None:
    pings = Pings.read({"--schedule": "*/5 * * * *", "--attempt-deadline": "3m", "--message-body": {"model_name": "a"}})
    url = "https://us-central1-p.cloudfunctions.net/text-generation"
    flags = pings.flags(f"{url}/warmup", "warm@p.iam.gserviceaccount.com", url)
    job = {
        "schedule": "*/5 * * * *",
        "timeZone": "Etc/UTC",
        "httpTarget": {
            "uri": f"{url}/warmup",
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json", "User-Agent": "Google-Cloud-Scheduler"},
            "body": base64.b64encode(b'{"model_name": "a"}').decode(),
            "oidcToken": {"serviceAccountEmail": "warm@p.iam.gserviceaccount.com", "audience": url},
        },
        "attemptDeadline": "180s",
        "retryConfig": {"retryCount": 1, "maxDoublings": 5},
    }
    assert flags_of(job) == flags
    assert flags_of({}) != flags
    assert job_name("text_generation") == "warm-text-generation"
