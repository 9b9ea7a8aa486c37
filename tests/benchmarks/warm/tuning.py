"""Which settings are the others' best: ``python -m tests.benchmarks.warm.tuning --only LitServe --models wine``."""

import argparse
import itertools
import subprocess
import sys

from deploy.project import ROOT
from tests.benchmarks.launch import started
from tests.benchmarks.places import FUNCTIONS, LOGS
from tests.benchmarks.progress import progress
from tests.benchmarks.warm import contenders, items
from tests.benchmarks.warm.contenders import KINDS, MODELS_SERVED, PEERS_NAMED, TABLE
from tests.benchmarks.warm.measuring import Load, Target, closed
from tests.benchmarks.warm.rounds import brief
from tests.benchmarks.warm.settings import CANDIDATES

SECONDS = 4.0


def main() -> None:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.warm.tuning", description=__doc__)
    made.add_argument("--only", nargs="+", choices=PEERS_NAMED, default=PEERS_NAMED)
    made.add_argument("--models", nargs="+", choices=MODELS_SERVED, default=MODELS_SERVED)
    made.add_argument("--candidates", nargs="+", type=int, help="by their places in the list, from 0; default: all")
    arguments = made.parse_args()
    FUNCTIONS.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "tests.benchmarks.warm.models"], cwd=ROOT, check=True)
    for peer in arguments.only:
        for model in arguments.models:
            for place, given in enumerate(CANDIDATES[peer]):
                if arguments.candidates is None or place in arguments.candidates:
                    _try(peer, model, given)


def _try(peer: str, model: str, given: dict[str, str]) -> None:
    contender = next(one for one in TABLE if (one.name, one.model) == (peer, model))
    asked = items.read()
    launch = contenders.launch(contender, {}, asked[KINDS[model][0]][0], given)
    try:
        with started(launch, LOGS / "warm-tuning.log") as server:
            server.first_answer()
            target = Target(server.port, server.pid, contender.protocol, contender.precision)
            closed(target, asked[KINDS[model][0]], 4, 0.5)
            for kind, clients in itertools.product(KINDS[model], (1, 16)):
                run = closed(target, asked[kind], clients, SECONDS)
                progress(f"{peer} {given!s:56} {Load(kind, clients).name:24} {brief(run)}")
    except (RuntimeError, OSError) as exc:
        progress(f"{peer} {model} {given}: {exc}")


if __name__ == "__main__":
    main()
