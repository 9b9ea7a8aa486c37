"""Warm-up pings: what a family's warmup.yaml asks for, as a job of Cloud Scheduler."""

import base64
import json
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import yaml
from cronsim import CronSim, CronSimError

from deploy.project import FUNCTIONS
from model_functions.names import function_name

#: What warmup.yaml may say, in gcloud's own flags, and what stands for those that it leaves out.
DEFAULTS = {
    "--time-zone": "Etc/UTC",
    # As long as a cold start may take: who gives up earlier makes the next ping the first again.
    "--attempt-deadline": "180s",
    "--max-retry-attempts": 1,
    # A function with several models is told which: '{"model_name": "NAME"}'.
    "--message-body": "{}",
}

#: A month of thirty days, in which no clock is changed.
_MONTH = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pings:
    """When and how a function is asked to warm up."""

    schedule: str
    time_zone: str
    deadline_s: int
    retries: int
    body: str

    @classmethod
    def of(cls, family: str, functions: Path = FUNCTIONS) -> Self | None:
        """None for a family that has no warmup.yaml. Raises ValueError that names the file and the value."""
        file = functions / family / "warmup.yaml"
        if not file.exists():
            return None
        try:
            return cls.read(yaml.safe_load(file.read_text()))
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{family}/warmup.yaml: {error}") from error

    @classmethod
    def read(cls, found: Any) -> Self:
        if not isinstance(found, Mapping) or "--schedule" not in found:
            raise ValueError('it has no "--schedule". Write one as "*/5 * * * *".')
        unknown = set(found) - {"--schedule", *DEFAULTS}
        if unknown:
            raise ValueError(f'"{min(unknown)}" does not belong there. Known: --schedule, {", ".join(DEFAULTS)}.')
        flags = {**DEFAULTS, **found}
        return cls(
            schedule=_schedule(flags["--schedule"]),
            time_zone=_time_zone(flags["--time-zone"]),
            deadline_s=_deadline(flags["--attempt-deadline"]),
            retries=_retries(flags["--max-retry-attempts"]),
            body=_body(flags["--message-body"]),
        )

    def times(self) -> Iterator[datetime]:
        """In a month of thirty days."""
        start, end = (day.replace(tzinfo=zoneinfo.ZoneInfo(self.time_zone)) for day in _MONTH)
        return self.between(start, end)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        # It begins after what it is given.
        for time in CronSim(self.schedule, start - timedelta(seconds=1)):
            if time >= end:
                return
            yield time

    def a_month(self) -> int:
        return sum(1 for _ in self.times())

    def longest_gap_minutes(self) -> float:
        """Between two pings; infinite where a month has but one."""
        gaps = ((later - earlier).total_seconds() / 60 for earlier, later in pairwise(self.times()))
        return max(gaps, default=float("inf"))

    def flags(self, url: str, account: str, audience: str) -> dict[str, str]:
        """Of ``gcloud scheduler jobs create http``; ``update`` calls its headers --update-headers."""
        return {
            "--schedule": self.schedule,
            "--time-zone": self.time_zone,
            "--uri": url,
            "--http-method": "post",
            "--headers": "Content-Type=application/json",
            "--message-body": self.body,
            "--oidc-service-account-email": account,
            "--oidc-token-audience": audience,
            "--attempt-deadline": f"{self.deadline_s}s",
            "--max-retry-attempts": str(self.retries),
        }


def flags_of(job: Mapping[str, Any]) -> dict[str, str]:
    """Those that would make the job that is there."""
    target: Mapping[str, Any] = job.get("httpTarget", {})
    token: Mapping[str, str] = target.get("oidcToken", {})
    return {
        "--schedule": job.get("schedule", ""),
        "--time-zone": job.get("timeZone", ""),
        "--uri": target.get("uri", ""),
        "--http-method": target.get("httpMethod", "").lower(),
        "--headers": f"Content-Type={target.get('headers', {}).get('Content-Type', '')}",
        "--message-body": base64.b64decode(target.get("body", "")).decode(errors="replace"),
        "--oidc-service-account-email": token.get("serviceAccountEmail", ""),
        "--oidc-token-audience": token.get("audience", ""),
        "--attempt-deadline": job.get("attemptDeadline", ""),
        "--max-retry-attempts": str(job.get("retryConfig", {}).get("retryCount", 0)),
    }


def job_name(family: str) -> str:
    return f"warm-{function_name(family)}"


def _schedule(value: Any) -> str:
    # Five fields: with six, CronSim reads seconds, which Cloud Scheduler has not.
    if len(str(value).split()) != 5:
        raise ValueError(f'"--schedule: {value}" is no cron schedule of five fields, as "*/5 * * * *".')
    try:
        CronSim(str(value), _MONTH[0])
    except CronSimError as error:
        raise ValueError(f'"--schedule: {value}" is no cron schedule: {error}.') from error
    return str(value)


def _time_zone(value: Any) -> str:
    try:
        return zoneinfo.ZoneInfo(str(value)).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"--time-zone: {value}" is no time zone, as Europe/Berlin.') from error


def _deadline(value: Any) -> int:
    match = re.fullmatch(r"(\d+)(s|m)", str(value))
    seconds = int(match[1]) * {"s": 1, "m": 60}[match[2]] if match else 0
    if not 15 <= seconds <= 1800:
        raise ValueError(f'"--attempt-deadline: {value}" is not from 15s to 30m.')
    return seconds


def _retries(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= 5:
        raise ValueError(f'"--max-retry-attempts: {value}" is not from 0 to 5.')
    return value


def _body(value: Any) -> str:
    try:
        body = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        body = None
    if not isinstance(body, dict) or not set(body) <= {"model_name"}:
        raise ValueError(f'"--message-body: {value}" is no body of POST /warmup. Write \'{{"model_name": "NAME"}}\'.')
    return json.dumps(body)
