"""What a plan that was made of a trace says: every candidate, the one that is best, and where to write it."""

import argparse
from typing import Any

from deploy import output
from deploy.cloud.costs import Prices, Size
from deploy.cloud.flags import Flags
from deploy.cloud.scaling import choosing
from deploy.cloud.scaling.choosing import Choice
from deploy.cloud.scaling.measured import Measured
from deploy.cloud.scaling.platform import Platform
from deploy.cloud.scaling.trace import Trace

HEAD = ("", "wait for a start", "refused", "p50", "p99", "instances", "$ a month")


def advice(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """For machines and for people. Raises ValueError for a mistake in the arguments or files."""
    if len(args.family) != 1:
        raise ValueError("--trace is of one function: name it, as python -m deploy warmup tabular --plan --trace FILE")
    if not 0 <= args.goal <= 100:
        raise ValueError(f"--goal is {args.goal:g}. Give a percentage from 0 to 100.")
    [family] = args.family
    trace, measured = Trace.read(args.trace), Measured.read(args.measured)
    said = Flags.read(family)
    flags = {**said.own, **said.run}
    service, platform, prices = measured.of(family), Platform.cloud_run(flags), Prices.read_file()
    plans = choosing.plans(trace, service, platform)
    found = choosing.choices(trace, service, platform, prices, Size.of(flags), plans)
    best = choosing.recommended(found, args.goal / 100)
    told = {
        "family": family,
        "requests": trace.expected,
        "days": trace.seconds / 86_400,
        "choices": [as_json(one) for one in found],
        "recommended": as_json(best),
    }
    rows = [HEAD, *map(row, found)]
    return told, "\n".join(
        [*output.table(rows, figures=True), "", *_sentences(family, best, args.goal, measured, prices, trace)]
    )


def as_json(one: Choice) -> dict[str, Any]:
    return {
        "plan": one.plan.name,
        "schedule": one.plan.schedule,
        "min_instances": one.plan.least,
        "cold_share": one.outcome.cold_share,
        "refused": one.outcome.refused,
        "starts": one.outcome.starts,
        "p50_s": one.outcome.quantile(0.5),
        "p99_s": one.outcome.quantile(0.99),
        "mean_instances": one.outcome.mean_instances,
        "most_instances": one.outcome.most_instances,
        "month": one.month,
    }


def row(one: Choice) -> tuple[str, ...]:
    outcome = one.outcome
    return (
        one.plan.name,
        f"{outcome.cold_share:.2%}",
        f"{outcome.refused / outcome.requests:.2%}",
        seconds(outcome.quantile(0.5)),
        seconds(outcome.quantile(0.99)),
        f"{outcome.most_instances:,}",
        f"${one.month:,.2f}",
    )


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _sentences(family: str, best: Choice, goal: float, measured: Measured, prices: Prices, trace: Trace) -> list[str]:
    met = best.unlucky <= goal / 100
    reason = (
        f"the cheapest that lets at most {goal:g} % of the requests wait for a start"
        if met
        else f"none lets at most {goal:g} % of the requests wait for a start, and this one lets the fewest"
    )
    where = {
        True: f'Write --schedule: "{best.plan.schedule}" into functions/{family}/warmup.yaml.',
        False: f"Write --min-instances: {best.plan.least} into functions/{family}/flags.yaml."
        if best.plan.least
        else f"It needs no functions/{family}/warmup.yaml.",
    }
    return [
        f"Recommended: {best.plan.name}: {reason}.",
        where[best.plan.schedule is not None],
        f"Simulated from {trace.expected:,.0f} requests in {trace.seconds / 86_400:g} days, hours in UTC; starts and "
        f"answers as measured on {measured.where}; prices of {prices.read}.",
    ]
