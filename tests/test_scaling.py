"""What docs/scaling.md promises: its commands are there, and its tables are what the code computes."""

import re
import shlex
from pathlib import Path

import pytest

from deploy.__main__ import _parser
from deploy.cloud.scaling.measured import Measured
from tests.benchmarks.scale import simulating
from tests.benchmarks.scale.__main__ import SEED, parser

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "scaling.md").read_text()


def commands(start: str) -> list[list[str]]:
    found = re.findall(rf"{re.escape(start)}([^`\n#)]*)", TEXT)
    return [shlex.split(line) for line in found]


def test_its_verbs_and_flags_are_there() -> None:
    found = commands("python -m deploy ")
    assert ["warmup", "tabular", "--plan", "--trace", "trace.txt"] in found
    for words in found:
        _parser(words).parse_args(words)


def test_its_benchmark_takes_its_arguments() -> None:
    found = commands("python -m tests.benchmarks.scale")
    assert ["--measure", "--measured", "mine.json", "--against-emulator"] in found
    for words in found:
        parser().parse_args(words)


@pytest.mark.parametrize("family", Measured.read().services, ids=str)
def test_its_tables_are_what_the_code_computes(family: str) -> None:
    """Those of few requests; thousands a second take a while."""
    done = simulating.simulate(family, Measured.read().of(family), simulating.RATES[:2], SEED)
    for line in simulating.markdown(done):
        assert line in TEXT


def test_files_that_are_named_are_there() -> None:
    for name in set(re.findall(r"`((?:deploy|docs|functions|tests)/[\w./-]+)`", TEXT)):
        assert (ROOT / name).exists(), name
