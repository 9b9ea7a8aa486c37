"""Whatever could bring a function down, done to it: ``python -m tests.torture [PART…] [--length ci|short|full]``.

Prints what was demanded beside what was found, and fails when a bar is missed. Only ever against this machine itself.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from tests.benchmarks.figures import table
from tests.torture.part import PARTS, Bar, Part
from tests.torture.place import FOLDER, opened


def main() -> int:
    arguments = _arguments()
    bars: dict[str, Sequence[Bar]] = {}
    with opened() as place:
        for name in arguments.part or PARTS:
            began = time.monotonic()
            part = cast(Part, importlib.import_module(f"tests.torture.{name}"))
            if arguments.length not in part.LENGTHS:
                continue
            bars[name] = part.run(arguments.length, place)
            print(f"\n{name}, {time.monotonic() - began:.0f} s\n{_shown(bars[name])}", flush=True)
    (FOLDER / "bars.json").write_text(
        json.dumps({name: [asdict(bar) for bar in found] for name, found in bars.items()})
    )
    missed = [f"{name}: {bar.what}" for name, found in bars.items() for bar in found if not bar.met]
    print("\n" + ("missed: " + "; ".join(missed) if missed else "Every bar is met."))
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--length", choices=("ci", "short", "full"), default="short", help="default: short, ten minutes"
    )
    arguments = parser.parse_args()
    for name in set(arguments.part) - set(PARTS):
        parser.error(f'There is no part "{name}". There are: {", ".join(PARTS)}.')
    return arguments


def _shown(bars: Sequence[Bar]) -> str:
    rows = [[bar.what, bar.bound, bar.value, "met" if bar.met else "MISSED"] for bar in bars]
    return table(["", "bound", "found", ""], rows)


if __name__ == "__main__":
    sys.exit(main())
