"""How a verb speaks: sentences for people, JSON for machines, a bar for long work."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from model_functions.repository import Pointer


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def tell(args: argparse.Namespace, result: Any, sentence: str) -> None:
    """Prints the result in the form that was asked for."""
    print(json.dumps(result, ensure_ascii=False, indent=2) if args.json else sentence)


def tell_pointer(args: argparse.Namespace, pointer: Pointer) -> None:
    """Where an alias points now."""
    model = f"{pointer.family}/{pointer.name}"
    tell(args, asdict(pointer), f'"{pointer.alias}" of {model} is revision {pointer.revision}.')


def table(rows: Sequence[Sequence[str]], *, figures: bool = False) -> list[str]:
    """Lines with columns as wide as their widest cell; figures are aligned right, behind the first column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if figures and place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


@contextmanager
def progress_bar(what: str, total: int, unit: str = "B") -> Iterator[Callable[[int], None]]:
    """A bar on standard error, silent where that is no terminal; tell it the bytes, or other units, of each step."""
    hidden = not sys.stderr.isatty()
    with tqdm(total=total, desc=what, unit=unit, unit_scale=unit == "B", disable=hidden, leave=False) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
