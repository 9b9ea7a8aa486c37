"""``make bench-warm``: loaded servers under load, ours and others over the same weights and texts, in one run."""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploy.project import ROOT
from tests.benchmarks.bucket_process import BucketProcess, bucket_process, publish
from tests.benchmarks.launch import Launch
from tests.benchmarks.places import BENCH, FUNCTIONS, MODELS, shown
from tests.benchmarks.progress import progress
from tests.benchmarks.targets import targets_table
from tests.benchmarks.warm import contenders, items, plot, report
from tests.benchmarks.warm.contenders import KINDS, MODELS_SERVED, NOTHING, PEERS_NAMED, TABLE, Contender
from tests.benchmarks.warm.goals import Figures, goals
from tests.benchmarks.warm.growth import Growth, growth
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.measuring import Load
from tests.benchmarks.warm.places import PLOT, REPORT
from tests.benchmarks.warm.rounds import Measured, Rounds
from tests.benchmarks.warm.settings import best

CLIENTS = (1, 4, 16, 64)
ROUNDS, SECONDS = 3, 4.0
#: Modules beside this one, each with build/bench/NAME.json, which may have "targets" of its own.
DECODERS = ("decode", "seq2seq")


def main() -> None:
    arguments = parser().parse_args()
    # Ended from outside, it still ends the servers that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [one for one in TABLE if is_chosen(one, arguments)]
    for folder in (MODELS, FUNCTIONS):
        folder.mkdir(parents=True, exist_ok=True)
    load = [os.getloadavg()[0]]
    subprocess.run([sys.executable, "-m", "tests.benchmarks.warm.models"], cwd=ROOT, check=True)
    asked = items.read()
    with bucket_process() as bucket:
        published = publish("tests.benchmarks.warm.publishing", bucket, [one.published for one in chosen])
        for record in published.values():
            progress(f"published {record}")
        launches, missing = prepare(chosen, bucket, published, asked)
        rounds = Rounds(launches, loads(arguments), asked, arguments.seconds)
        for number in range(arguments.rounds):
            progress(f"round {number + 1} of {arguments.rounds}")
            rounds.round()
        growths = {} if arguments.no_growth else grown(launches, asked)
    others = [] if arguments.no_decode else decoded()
    load.append(os.getloadavg()[0])
    tell(missing | rounds.measured, published, growths, others, load)


def is_chosen(contender: Contender, arguments: argparse.Namespace) -> bool:
    named = contender.name in arguments.only if arguments.only else not contender.is_extra
    return named and contender.model in arguments.models


def parser() -> argparse.ArgumentParser:
    names = list(dict.fromkeys(one.name for one in TABLE))
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.warm", description=__doc__)
    made.add_argument("--models", nargs="+", choices=MODELS_SERVED, default=MODELS_SERVED, metavar="MODEL")
    made.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--clients", nargs="+", type=int, default=CLIENTS, help="of the closed loops")
    made.add_argument("--no-open", action="store_true", help="no open loop")
    kinds = [kind for some in KINDS.values() for kind in some]
    made.add_argument("--no-growth", action="store_true", help="no look at the memory over 20,000 requests")
    made.add_argument("--no-decode", action="store_true", help="nothing of the generating families")
    made.add_argument("--kinds", nargs="+", choices=kinds, default=kinds, metavar="KIND", help=", ".join(kinds))
    made.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    made.add_argument("--seconds", type=float, default=SECONDS, help=f"of each load (default {SECONDS:g})")
    return made


def loads(arguments: argparse.Namespace) -> dict[str, list[Load]]:
    """By model; the last kind has an open loop too."""
    clients = [*arguments.clients, *([] if arguments.no_open else [0])]
    found: dict[str, list[Load]] = {}
    for model, kinds in KINDS.items():
        asked = [kind for kind in kinds if kind in arguments.kinds]
        found[model] = [Load(kind, count) for kind in asked for count in clients if count or kind == asked[-1]]
    return found


def prepare(
    chosen: Iterable[Contender],
    bucket: BucketProcess,
    published: Mapping[str | None, Mapping[str, Any]],
    asked: Mapping[str, Sequence[Item]],
) -> tuple[dict[Contender, Launch], dict[Contender, Measured]]:
    """How each contender is started, and those that cannot be, with the reason."""
    launches: dict[Contender, Launch] = {}
    missing: dict[Contender, Measured] = {}
    for contender in chosen:
        reason = published.get(contender.published, {}).get("reason")
        try:
            if reason:
                raise RuntimeError(reason)
            first = asked[KINDS[contender.model][0]][0]
            launches[contender] = contenders.launch(contender, bucket.environment(), first)
        except RuntimeError as exc:
            missing[contender] = Measured(reason=str(exc))
            progress(f"{contender.name}: {exc}")
    return launches, missing


def grown(launches: Mapping[Contender, Launch], asked: Mapping[str, Sequence[Item]]) -> dict[str, Growth]:
    """Of one of our contenders for each model: in full precision, where it has several."""
    found: dict[str, Growth] = {}
    for contender, launch in launches.items():
        if contender.published and contender.model not in found and not contender.is_extra:
            try:
                found[contender.model] = growth(contender, launch, asked, KINDS[contender.model])
            except (RuntimeError, OSError, ValueError) as exc:
                progress(f"{contender.model}: memory not measured: {exc}")
    return found


def decoded() -> list[dict[str, Any]]:
    """What the benchmarks of the generating families write, each run in a process of its own."""
    documents = []
    for name in DECODERS:
        if importlib.util.find_spec(f"tests.benchmarks.warm.{name}") is None:
            continue
        progress(name)
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.warm.{name}"], cwd=ROOT, check=False)
        file = BENCH / f"{name}.json"
        if done.returncode == 0 and file.exists():
            found = json.loads(file.read_text())
            documents.append(found if isinstance(found, dict) else {"rows": found})
        else:
            progress(f"{name}: not measured")
    return documents


def tell(
    measured: Mapping[Contender, Measured],
    published: Mapping[str | None, Mapping[str, Any]],
    growths: Mapping[str, Growth],
    others: list[dict[str, Any]],
    load: list[float],
) -> None:
    listed = report.rows(measured)
    held = goals(Figures(listed), contenders.deployed_edge(NOTHING), growths, others)
    print(report.tables(listed, measured), end="\n\n")
    for model, found in growths.items():
        print(f"{model}: {found.bytes_a_request:.0f} bytes a request over {found.requests}, {found.failed} failed")
    print("\n" + targets_table(held))
    cores = len(os.sched_getaffinity(0))
    print(f"\n{cores} cores, load average {load[0]:.1f} before and {load[1]:.1f} after; the load runs on them too")
    more = {
        "cores": cores,
        "load_average": load,
        "published": {name: record for name, record in published.items() if name},
        "settings": {f"{peer}, {model}": best(peer, model) for peer in PEERS_NAMED for model in MODELS_SERVED},
        "growth": {model: asdict(found) for model, found in growths.items()},
        "generating": others,
    }
    BENCH.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report.document(listed, held, **more), indent=2, ensure_ascii=False) + "\n")
    PLOT.write_text(plot.svg("Warm, on the same cores as the load", report.panels(listed)))
    print(f"all figures in {shown(REPORT)}, the plot in {shown(PLOT)}")


if __name__ == "__main__":
    main()
