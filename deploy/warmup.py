"""Have Cloud Scheduler ask functions to warm up: one job for each family that has a warmup.yaml.

Jobs are made, changed where the file or the function's address is another one now, and else left as they are. A ping
keeps one instance warm for most of the time; --min-instances keeps it always: --plan shows what either costs, and with
--trace which of them the function's own requests are worth.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import yaml

from deploy import output
from deploy.cloud import configuration, costs
from deploy.cloud.configuration import Configuration
from deploy.cloud.pings import Pings, flags_of, job_name
from deploy.cloud.scaling import arguments
from deploy.cloud.sdk import Gcloud, GcloudFailed, spelled
from deploy.cloud.variables import functions_url, url_of
from deploy.project import FUNCTIONS, function_families
from model_functions.names import function_name

EXAMPLE = "python -m deploy warmup gateway translation --run"

#: What a ping takes where the model is in memory, and where an instance has to start first; seconds.
WARM_S, COLD_S = 0.1, 5.0

#: Minutes for which Cloud Run keeps an instance that has nothing to do, at most.
KEPT_MINUTES = 15

#: A schedule for a family that has none yet.
USUAL = "*/10 * * * *"

#: Seconds that a log may be behind.
LOG_LATE_S = 30

_POLL_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", nargs="*", help="default: all that have a warmup.yaml")
    what = parser.add_mutually_exclusive_group()
    # "run" is what the verb itself is under.
    what.add_argument("--run", dest="ping", action="store_true", help="ping now, and tell what was answered")
    what.add_argument("--pause", action="store_true", help="no pings until --resume")
    what.add_argument("--resume", action="store_true")
    what.add_argument("--delete", action="store_true", help="the jobs")
    what.add_argument("--list", action="store_true", help="the jobs there are, and how their last ping ended")
    what.add_argument("--plan", action="store_true", help="what pings cost, and what --min-instances would")
    arguments.add_arguments(parser)
    configuration.add_arguments(parser)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    if args.trace and not args.plan:
        raise ValueError("--trace is what a plan is made of. Give --plan too.")
    if args.plan:
        plan(args)
        return 0
    where = Configuration.of(args)
    jobs = Jobs(where, Gcloud(where.project, args.dry_run))
    if args.list:
        told = jobs.list()
    else:
        # What a dry run prints is in order.
        with ThreadPoolExecutor(1 if args.dry_run else 8) as pool:
            told = list(pool.map(_deed(args, jobs), _wanted(args.family, where.families)))
    for_people = [f"{one['job']}: {one['state']}" for one in told] or ["There are no jobs. Write a warmup.yaml."]
    if not args.dry_run or args.json:
        output.tell(args, told, "\n".join(for_people))
    return int(any(one["failed"] for one in told))


def _deed(args: argparse.Namespace, jobs: "Jobs") -> Any:
    deeds = {"ping": jobs.ping, "pause": jobs.pause, "resume": jobs.resume, "delete": jobs.delete}
    deed = next((deed for name, deed in deeds.items() if getattr(args, name)), jobs.make)

    def told(family: str) -> dict[str, Any]:
        try:
            state = deed(family)
        except GcloudFailed as error:
            again = shlex.join(["python", "-m", "deploy", *args.arguments])
            state = f"failed: {error}\n  now: nothing of this job was changed\n  next: {again}"
            return {"job": job_name(family), "state": state, "failed": True}
        except ValueError as error:
            return {"job": job_name(family), "state": str(error), "failed": True}
        return {"job": job_name(family), "state": state, "failed": False}

    return told


class PingFailed(ValueError):
    """A function did not answer its ping with 200."""


@dataclass
class Jobs:
    """The jobs of Cloud Scheduler, one a family; read once."""

    where: Configuration
    gcloud: Gcloud

    def __post_init__(self) -> None:
        self._there = {job["name"].rpartition("/")[2]: job for job in self._read("scheduler", "jobs", "list") or ()}

    def list(self) -> list[dict[str, Any]]:
        names = {job_name(family): family for family in self.where.families}
        return [
            {"job": name, "state": _told(job), "failed": False} for name, job in self._there.items() if name in names
        ]

    def make(self, family: str) -> str:
        """Makes the job, or changes it. Raises ValueError for a warmup.yaml that cannot work."""
        pings = Pings.of(family)
        if pings is None:
            raise ValueError(f"{FUNCTIONS.name}/{family}/warmup.yaml is not there. Write one, as the gateway's.")
        name, audience = job_name(family), self._url(family)
        wanted = pings.flags(f"{audience}/warmup", self.where.account(self.where.accounts.warmup), audience)
        there = self._there.get(name)
        if there is None:
            self._change("create", "http", name, *_spelled(wanted))
            return f"made: {_when(pings)}"
        if flags_of(there) == wanted:
            return f"nothing to do: {_told(there)}"
        # update's own word for them; it replaces those that it names.
        headers = {"--update-headers": wanted.pop("--headers")}
        self._change("update", "http", name, *_spelled(wanted | headers))
        return f"changed: {_when(pings)}" + (", paused" if there.get("state") == "PAUSED" else "")

    def pause(self, family: str) -> str:
        return self._switch(family, "pause", "PAUSED")

    def resume(self, family: str) -> str:
        return self._switch(family, "resume", "ENABLED")

    def delete(self, family: str) -> str:
        if job_name(family) not in self._there:
            return "nothing to do: there is none"
        self._change("delete", job_name(family))
        return "deleted"

    def ping(self, family: str) -> str:
        """Raises PingFailed."""
        self._found(family)
        # Clocks differ a little; the ping before this one is minutes away.
        since = datetime.now(UTC) - timedelta(seconds=5)
        self._change("run", job_name(family))
        if self.gcloud.dry_run:
            return "would ping"
        answer = self._answer(function_name(family), since, self._patience(family))
        status, took = answer.get("status"), answer.get("latency", "")
        if status != 200:
            told = f"answered {status}" if status else "no answer came in time"
            raise PingFailed(f"{told}. The function's log says why: {self._log_of(family)}")
        return f"answered 200 within {took}"

    def _answer(self, name: str, since: datetime, patience_s: float) -> Mapping[str, Any]:
        """The request log's word of it: the job's own status tells no attempt from the one before."""
        wanted = (
            f'resource.type="cloud_run_revision" resource.labels.service_name="{name}" httpRequest.status>0 '
            f'httpRequest.userAgent:"Google-Cloud-Scheduler" timestamp>="{since.isoformat()}"'
        )
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            entries = self.gcloud.read("logging", "read", wanted, "--limit=1")
            if entries:
                answer: Mapping[str, Any] = entries[0]["httpRequest"]
                return answer
            time.sleep(_POLL_S)
        return {}

    def _patience(self, family: str) -> float:
        pings = Pings.of(family)
        return (pings.deadline_s if pings else KEPT_MINUTES * 60) + LOG_LATE_S

    def _log_of(self, family: str) -> str:
        asked = f'resource.labels.service_name="{function_name(family)}" severity>=WARNING'
        return spelled(["logging", "read", asked, "--limit=5", f"--project={self.where.project}"])

    def _switch(self, family: str, deed: str, state: str) -> str:
        if self._found(family).get("state") == state:
            return f"nothing to do: {_told(self._found(family))}"
        self._change(deed, job_name(family))
        return f"{deed}d"

    def _found(self, family: str) -> Mapping[str, Any]:
        there: Mapping[str, Any] | None = self._there.get(job_name(family), {} if self.gcloud.dry_run else None)
        if there is None:
            raise ValueError(f"There is no job {job_name(family)}. Make it: python -m deploy warmup {family}")
        return there

    def _url(self, family: str) -> str:
        """The function's address, which is also the audience: with a path, its tokens would count nowhere."""
        return url_of(family, self._functions_url)

    @cached_property
    def _functions_url(self) -> str:
        return functions_url(self.gcloud, self.where)

    def _read(self, *arguments: str) -> Any:
        return self.gcloud.read(*arguments, f"--location={self.where.region}")

    def _change(self, deed: str, *arguments: str) -> None:
        self.gcloud.change("scheduler", "jobs", deed, *arguments, f"--location={self.where.region}")


def plan(args: argparse.Namespace) -> None:
    """Tells what keeping functions warm costs in a month."""
    known = _known(args.family, function_families())
    if args.trace:
        # Imported here: it computes with scipy, which takes longer to import than all else here.
        from deploy.cloud.scaling import advice

        output.tell(args, *advice.advice(args))
        return
    prices = costs.Prices.read_file()
    found = [_planned(prices, family) for family in known]
    head = ("", "pings", "every", "all warm", "all cold", "--min-instances=1")
    rows = [
        (one["family"], str(one["pings"]), one["every"], *(f"${one[cost]:.2f}" for cost in ("warm", "cold", "kept")))
        for one in found
    ]
    output.tell(args, found, "\n".join(output.table([head, *rows])) + "\n" + _FORMULA.format(prices=prices))


_FORMULA = f"""
US dollars a month of 30 days, tier-1 prices of {{prices.read}}, without free tiers (deploy/cloud/prices.yaml).
pings: job + pings x (seconds x (vCPU x active + GiB x active) + request); a ping takes {WARM_S} s where the model
  is in memory, {COLD_S:g} s where an instance starts for it. The truth lies between: Cloud Run keeps an idle
  instance for up to {KEPT_MINUTES} minutes, and promises none. (*) has no warmup.yaml: as if it had "{USUAL}".
--min-instances=1: 30 days x (vCPU x idle + GiB x idle), requests extra."""


def _planned(prices: costs.Prices, family: str) -> dict[str, Any]:
    size = costs.Size.of(yaml.safe_load((FUNCTIONS / family / "flags.yaml").read_text()))
    own = Pings.of(family)
    pings = own or Pings.read({"--schedule": USUAL})
    number, gap = pings.a_month(), pings.longest_gap_minutes()
    return {
        "family": family,
        "has_pings": own is not None,
        "pings": number,
        "every": f"{gap:g} min" + ("" if own else " (*)") + (" (too seldom)" if gap > KEPT_MINUTES else ""),
        "warm": costs.pings(prices, size, number, WARM_S),
        "cold": costs.pings(prices, size, number, COLD_S),
        "kept": costs.kept(prices, size),
    }


def _wanted(named: list[str], families: Iterable[str]) -> list[str]:
    found = _known(named, [family for family in families if (FUNCTIONS / family / "warmup.yaml").exists()])
    if not found:
        print("No family has a warmup.yaml: nothing to do.", file=sys.stderr)
    return found


def _known(named: list[str], otherwise: list[str]) -> list[str]:
    unknown = set(named) - set(function_families())
    if unknown:
        raise ValueError(f'There is no family "{min(unknown)}". There are: {", ".join(function_families())}.')
    return named or otherwise


def _spelled(flags: Mapping[str, str]) -> list[str]:
    return [f"{flag}={value}" for flag, value in flags.items()]


def _when(pings: Pings) -> str:
    return f"{pings.schedule} ({pings.time_zone})"


def _told(job: Mapping[str, Any]) -> str:
    state = f"{job.get('state', 'ENABLED').lower()}, {job.get('schedule', '')} ({job.get('timeZone', '')})"
    last = job.get("lastAttemptTime")
    code = job.get("status", {}).get("code")
    ended = f"failed with code {code} {job['status'].get('message', '')}".strip() if code else "answered"
    return f"{state}, last ping {f'{last} {ended}' if last else 'never'}"
