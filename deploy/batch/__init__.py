"""Predict many rows with one revision of a model, by Apache Beam: here, or on Dataflow.

Reads JSON Lines, CSV, Parquet, text files or images, local or in a bucket, and writes each row once: with its
prediction to part-*.jsonl, or with the reason to dead-letters/. A job that was stopped goes on where it was; one that
is finished is not run again. The store is MODEL_STORE, else build/store.
"""

import argparse
import os

EXAMPLE = "python -m deploy batch wine_model --input 'rows/*.csv' --output predictions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Imported here: workers have this package too, and none of what a verb needs.
    from deploy import naming, output
    from deploy.batch.dataflow import arguments
    from deploy.batch.readers import FORMATS

    naming.add_arguments(parser)
    parser.add_argument(
        "--input", required=True, metavar="PATTERN", help="files or a folder, local or gs://; * and ** are understood"
    )
    parser.add_argument("--output", required=True, metavar="PATH", help="a folder, local or gs://, of this job alone")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="of the inputs (default: what their names say). lines: each line of a text file is a row; documents: each "
        "file is one",
    )
    parser.add_argument("--data", metavar="COLUMN", help="the model's data (default: data, inputs, text and the like)")
    parser.add_argument("--runner", default="DirectRunner", help="DirectRunner (default), PrismRunner, DataflowRunner")
    add_shared_arguments(parser)
    parser.add_argument("--rows", type=int, metavar="COUNT", help="of a part, which is written as one (default: 1000)")
    parser.add_argument("--again", action="store_true", help="begin anew, whatever the output has of an earlier job")
    output.add_json_argument(parser)
    arguments.add_arguments(parser)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """What an evaluation has too: how rows are predicted."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of every prediction, as JSON"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="COUNT",
        help="processes on this machine, each with a copy of the model (default: one a core)",
    )


def run(args: argparse.Namespace) -> int:
    # Imported here: other verbs have no use for what a job takes.
    from deploy.batch import command

    return command.run(args)
