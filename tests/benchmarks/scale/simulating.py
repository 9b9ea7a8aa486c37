"""The table: a day of so many requests a second, by each way to keep instances warm."""

import math
from dataclasses import dataclass, replace

from deploy.cloud.costs import Prices, Size
from deploy.cloud.flags import Flags
from deploy.cloud.scaling import choosing, shape
from deploy.cloud.scaling.advice import seconds
from deploy.cloud.scaling.choosing import Choice, Plan
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.platform import Platform
from tests.benchmarks.figures import table
from tests.benchmarks.progress import progress

#: Requests a second: once an hour and once a minute, which most functions are below, and then what scales out.
RATES = (1 / 3600, 1 / 60, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)

#: More than anybody is granted: how many it takes is the question.
MOST = 1_000_000

FIXED = Plan("*/10 * * * *")


@dataclass(frozen=True)
class Simulated:
    """A rate, and what came of each plan for it."""

    rate: float
    found: list[Choice]
    best: Choice


def simulate(family: str, service: Service, rates: tuple[float, ...], seed: int) -> list[Simulated]:
    flags = Flags.read(family).own
    platform = replace(Platform.cloud_run(flags), most=MOST)
    prices, size = Prices.read_file(), Size.of(flags)
    done = []
    for rate in rates:
        progress(f"{family}: {spelled(rate)}")
        trace = shape.day(rate, seed)
        plans = choosing.plans(trace, service, platform, seed)
        derived = [plan for plan in plans if plan.schedule and plan.schedule.split()[1] != "*"]
        kept = [plan for plan in plans if plan.least]
        wanted = [Plan(), FIXED, *derived[-1:], *kept]
        found = choosing.choices(trace, service, platform, prices, size, wanted, seed)
        done.append(Simulated(rate, found, choosing.recommended(found)))
    return done


def spelled(rate: float) -> str:
    if rate >= 1:
        return f"{rate:,.0f}/s"
    return f"{rate * 60:g}/min" if rate * 60 >= 1 else f"{rate * 3600:g}/h"


HEAD = (
    "requests",
    "kept warm by",
    "cold starts",
    "wait for one",
    "p50",
    "p99",
    "instances",
    "at most",
    "$ a month",
    "",
)


def rows(done: list[Simulated]) -> list[tuple[str, ...]]:
    return [_row(one, choice) for one in done for choice in one.found]


def _row(one: Simulated, choice: Choice) -> tuple[str, ...]:
    outcome = choice.outcome
    dollars = f"${choice.month:,.0f}" if choice.month >= 100 else f"${choice.month:,.2f}"
    return (
        spelled(one.rate),
        choice.plan.name,
        f"{outcome.starts:,}",
        _percent(outcome.cold_share),
        seconds(outcome.quantile(0.5)),
        seconds(outcome.quantile(0.99)),
        f"{outcome.mean_instances:,.1f}",
        f"{outcome.most_instances:,}",
        dollars,
        "*" if choice is one.best else "",
    )


def _percent(share: float) -> str:
    """With two digits, whatever its size."""
    if not share:
        return "0 %"
    digits = max(0, 1 - math.floor(math.log10(share * 100)))
    return f"{share * 100:.{min(digits, 5)}f} %"


def shown(done: list[Simulated]) -> str:
    return table(HEAD, rows(done))


def markdown(done: list[Simulated]) -> list[str]:
    head = ["| " + " | ".join(HEAD[:-1]) + " |", "| " + " | ".join(["---"] * (len(HEAD) - 1)) + " |"]
    return head + [_marked(cells) for cells in rows(done)]


def _marked(cells: tuple[str, ...]) -> str:
    plan = f"`{cells[1]}`" if cells[1] != "nothing" else cells[1]
    chosen = f"**{plan}**" if cells[-1] else plan
    return "| " + " | ".join([cells[0], chosen, *cells[2:-1]]) + " |"
