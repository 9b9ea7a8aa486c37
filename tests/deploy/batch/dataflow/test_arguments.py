"""Flags of a runner that is not the one which was asked for are mistakes."""

import argparse

import pytest

from deploy.batch.dataflow import arguments


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--machine-type", "e2-standard-2"], "--machine-type"),
        (["--max-workers", "3"], "--max-workers"),
        (["--dry-run"], "--dry-run"),
        (["--no-wait"], "--no-wait"),
        (["--image", "x"], "--image"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_flags_of_dataflow_are_refused_elsewhere(flags: list[str], named: str) -> None:
    parser = argparse.ArgumentParser()
    arguments.add_arguments(parser)
    args = parser.parse_args(flags, argparse.Namespace(runner="DirectRunner"))
    with pytest.raises(ValueError, match=f"{named} is for --runner DataflowRunner, and this is --runner DirectRunner"):
        arguments.check(args)


def test_without_them_any_runner_may_be_asked_for() -> None:
    parser = argparse.ArgumentParser()
    arguments.add_arguments(parser)
    arguments.check(parser.parse_args([], argparse.Namespace(runner="PrismRunner")))
