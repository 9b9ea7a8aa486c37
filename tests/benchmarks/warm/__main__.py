"""``make bench-warm``: loaded servers under load, ours and others over the same weights and texts, in one run."""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.project import ROOT
from tests.benchmarks.bucket_process import BucketProcess, bucket_process, publish
from tests.benchmarks.launch import Launch
from tests.benchmarks.places import FUNCTIONS, MODELS
from tests.benchmarks.progress import progress
from tests.benchmarks.warm import contenders, items
from tests.benchmarks.warm.contenders import KINDS, MODELS_SERVED, TABLE, Contender
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.measuring import Load
from tests.benchmarks.warm.rounds import Measured, Rounds

CLIENTS = (1, 4, 16, 64)
ROUNDS, SECONDS = 3, 4.0


def main() -> None:
    arguments = parser().parse_args()
    chosen = [
        one for one in TABLE if one.model in arguments.models and (not arguments.only or one.name in arguments.only)
    ]
    for folder in (MODELS, FUNCTIONS):
        folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "tests.benchmarks.warm.models"], cwd=ROOT, check=True)
    asked = items.read()
    with bucket_process() as bucket:
        published = publish("tests.benchmarks.warm.publishing", bucket, [one.published for one in chosen])
        for record in published.values():
            progress(f"published {record}")
        launches, _missing = prepare(chosen, bucket, published, asked)
        rounds = Rounds(launches, loads(arguments), asked, arguments.seconds)
        for number in range(arguments.rounds):
            progress(f"round {number + 1} of {arguments.rounds}")
            rounds.round()


def parser() -> argparse.ArgumentParser:
    names = list(dict.fromkeys(one.name for one in TABLE))
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.warm", description=__doc__)
    made.add_argument("--models", nargs="+", choices=MODELS_SERVED, default=MODELS_SERVED, metavar="MODEL")
    made.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--clients", nargs="+", type=int, default=CLIENTS, help="of the closed loops")
    made.add_argument("--no-open", action="store_true", help="no open loop")
    kinds = [kind for some in KINDS.values() for kind in some]
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


if __name__ == "__main__":
    main()
