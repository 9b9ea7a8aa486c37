"""Measure a revision on labelled rows, beside another one if you like, and decide by limits.

A row holds the model's data, as a request has it under "data", and what is right: "label", "labels", "target",
"reference", "references", "entities", "relevant" or "similarities"; a text generation model's text needs none.
Ends with status 0 when all limits are met, 1 when one is missed, 2 when nothing could be measured. The store is
MODEL_STORE, else build/store.
"""

import argparse

from deploy import batch, naming, output

EXAMPLE = (
    "python -m deploy evaluate wine_model --revision 4cd74ce767bd --data labelled.jsonl --against prod "
    "--min accuracy=0.95 --max-drop accuracy=0.01"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    naming.add_arguments(parser)
    parser.add_argument(
        "--data", required=True, metavar="PATTERN", help="labelled rows: .jsonl, .csv or .parquet files, local or gs://"
    )
    parser.add_argument("--against", metavar="REVISION", help="another revision, or the alias of one, to compare with")
    parser.add_argument(
        "--min", action="append", default=[], metavar="METRIC=VALUE", help="the least that is good enough"
    )
    parser.add_argument(
        "--max", action="append", default=[], metavar="METRIC=VALUE", help="the most, of metrics where less is better"
    )
    parser.add_argument(
        "--max-drop",
        action="append",
        default=[],
        metavar="METRIC=AMOUNT",
        help="how much worse than the revision of --against it may be",
    )
    parser.add_argument(
        "--max-errors", type=int, default=0, metavar="COUNT", help="rows that may stay without an answer (default: 0)"
    )
    parser.add_argument("--column", help="that holds the model's data (default: data, inputs, text and the like)")
    parser.add_argument(
        "--output", metavar="FOLDER", help="for the report, the answers and the rows that changed (default: in build/)"
    )
    parser.add_argument("--runner", default="DirectRunner", help="DirectRunner (default) or PrismRunner")
    batch.add_shared_arguments(parser)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    # Imported here: other verbs have no use for what an evaluation takes.
    from deploy.evaluation import command

    return command.run(args)
