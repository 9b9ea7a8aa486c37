"""A day of requests against a model of Cloud Run: ``python -m tests.benchmarks.scale``.

Prints how many instances it takes, how long callers wait and what a month costs, for rates up to 100,000 requests a
second and several ways to keep instances warm, and draws it. --measure asks the emulator what starts and answers take,
which is what the simulation goes by; --against-emulator sends the same requests to both.
"""

import argparse
from pathlib import Path

from deploy.cloud.scaling.choosing import Plan
from deploy.cloud.scaling.measured import MEASURED_FILE, Measured
from tests.benchmarks.places import BENCH, shown
from tests.benchmarks.scale import against, measuring, simulating
from tests.benchmarks.scale.emulated import Asked, asked
from tests.benchmarks.scale.plot import Panel, svg
from tests.benchmarks.scale.simulating import Simulated
from tests.benchmarks.targets import targets_table

FAMILIES = ["tabular", "text_classification"]
PLOT = BENCH / "scale.svg"
SEED = 2019


def main() -> None:
    arguments = parser().parse_args()
    families = arguments.family or FAMILIES
    if arguments.measure or arguments.against_emulator:
        # Family by family: how fast a machine is changes by the minute.
        for one in asked(families):
            if arguments.measure:
                measuring.measure(one, arguments.measured)
                print(f"{one.family}: written to {arguments.measured}")
            if arguments.against_emulator:
                hold_against(one, Measured.read(arguments.measured), arguments.seed)
        return
    measured = Measured.read(arguments.measured)
    for family in families:
        done = simulating.simulate(family, measured.of(family), tuple(arguments.rates), arguments.seed)
        print(f"{family}, measured on {measured.where}; * is recommended")
        print("\n".join(simulating.markdown(done)) if arguments.markdown else simulating.shown(done), end="\n\n")
        file = PLOT.with_stem(f"scale_{family}")
        draw(family, done, file)
        print(f"the plot in {shown(file)}")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    made.add_argument("family", nargs="*", help=f"default: {' '.join(FAMILIES)}")
    made.add_argument("--measure", action="store_true", help="in the emulator: what starts and answers take")
    made.add_argument("--against-emulator", action="store_true", help="the same requests to both")
    made.add_argument("--measured", type=Path, default=MEASURED_FILE, metavar="FILE", help="to write, or to go by")
    made.add_argument("--rates", type=float, nargs="+", default=simulating.RATES, help="requests a second")
    made.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    made.add_argument("--markdown", action="store_true", help="the table as docs/scaling.md has it")
    return made


def hold_against(one: Asked, measured: Measured, seed: int) -> None:
    compared = against.compare(one, measured.of(one.family), seed)
    print(f"{one.family}, {one.model}")
    print(against.shown(compared), end="\n\n")
    print(targets_table([target for each in compared for target in each.targets()]), end="\n\n")


def draw(family: str, done: list[Simulated], file: Path) -> None:
    """A line for each kind of plan; of kept instances, the largest number, which is the busiest minute's."""
    latency: dict[str, list[tuple[float, float]]] = {}
    month: dict[str, list[tuple[float, float]]] = {}
    for one in done:
        kinds = {_kind(choice.plan): choice for choice in one.found}
        for kind, choice in kinds.items():
            latency.setdefault(kind, []).append((one.rate, choice.outcome.quantile(0.99)))
            month.setdefault(kind, []).append((one.rate, choice.month))
    panels = [Panel("p99, seconds", latency), Panel("US dollars a month", month)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(svg(f"{family}: a day of requests, simulated", "requests a second", panels))


def _kind(plan: Plan) -> str:
    if plan.schedule and plan != simulating.FIXED:
        return "pings in some hours"
    return plan.name.partition("=")[0]


if __name__ == "__main__":
    main()
