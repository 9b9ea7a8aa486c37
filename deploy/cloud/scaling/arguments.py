"""The flags of ``python -m deploy warmup --plan`` that count with a trace; nothing of what computes it is imported."""

import argparse
from pathlib import Path

from deploy.cloud.scaling.measured import MEASURED_FILE

#: Of a day's requests, those that may wait for a start.
GOAL = 0.01

#: How a trace comes about.
LOGGED = (
    "gcloud logging read 'resource.labels.service_name=\"NAME\" httpRequest.status>0' --order=asc --freshness=7d "
    "--format='value(timestamp)' > FILE"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help=f"with --plan: when one function was asked, a time a line, and what its pings should be. {LOGGED}".replace(
            "%", "%%"
        ),
    )
    parser.add_argument(
        "--goal",
        type=float,
        default=GOAL * 100,
        metavar="PERCENT",
        help="with --trace: of the requests may wait for a start (default: 1)",
    )
    parser.add_argument(
        "--measured",
        type=Path,
        default=MEASURED_FILE,
        metavar="FILE",
        help="with --trace: what starts and answers take; by default as this project's sample models were measured",
    )
