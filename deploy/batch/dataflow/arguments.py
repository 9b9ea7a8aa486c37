"""The flags of ``python -m deploy batch`` that count with --runner DataflowRunner alone."""

import argparse
from pathlib import Path

from deploy.batch.files import files_at
from deploy.cloud import configuration
from deploy.project import store_location

RUNNER = "DataflowRunner"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(RUNNER, "for --runner DataflowRunner; where it runs stands in deploy/deploy.yaml")
    group.add_argument("--config", type=Path, default=configuration.FILE, help="default: deploy/deploy.yaml")
    group.add_argument("--project", help="instead of the file's")
    group.add_argument("--region", help="instead of the file's")
    group.add_argument(
        "--machine-type",
        metavar="TYPE",
        help="as n2-standard-4 (default: the smallest that has room for a copy of the model a process)",
    )
    group.add_argument(
        "--max-workers", type=int, metavar="COUNT", help="machines at most (default: as many as the parts need, 10)"
    )
    group.add_argument("--service-account", metavar="EMAIL", help="that the machines run as (default: model-batch)")
    group.add_argument("--image", metavar="IMAGE", help="of the machines (default: Beam's own)")
    group.add_argument("--no-wait", action="store_true", help="return when the job is submitted")
    group.add_argument("--dry-run", action="store_true", help="print the job that would be submitted, and make nothing")


def check(args: argparse.Namespace) -> None:
    """Refuses flags of this runner with another one, and places that its machines do not reach. Raises ValueError."""
    if args.runner == RUNNER:
        _check_places(args)
        return
    given = {
        "--machine-type": args.machine_type,
        "--max-workers": args.max_workers,
        "--service-account": args.service_account,
        "--image": args.image,
        "--no-wait": args.no_wait,
        "--dry-run": args.dry_run,
    }
    for flag, value in given.items():
        if value:
            raise ValueError(f"{flag} is for --runner {RUNNER}, and this is --runner {args.runner}. Leave it away.")


def _check_places(args: argparse.Namespace) -> None:
    places = {"--input": args.input, "--output": args.output, "MODEL_STORE": store_location()}
    for name, place in places.items():
        if not place.startswith("gs://"):
            raise ValueError(
                f"{name} {place} is on this machine, which Dataflow does not see. Put it to gs://BUCKET/…."
            )
    try:
        next(iter(files_at(args.output).names(args.output)), None)
    except (FileNotFoundError, PermissionError) as exc:
        bucket = "/".join(args.output.split("/")[:3])
        raise ValueError(
            f"There is no bucket {bucket}, or you may not see it: {exc} Nothing was begun. `python -m deploy "
            f"bootstrap` makes one for batch jobs, gs://PROJECT-batch; or make this one: "
            f"gcloud storage buckets create {bucket}"
        ) from exc
