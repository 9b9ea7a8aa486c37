"""What docs/operating.md promises: its verbs are there, gcloud accepts its commands, and code computes its costs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.__main__ import _parser
from deploy.cloud import cost_table
from tests.gcloud.linter import refused

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "operating.md").read_text()
#: A continued line is one command.
COMMANDS = re.sub(r" \\\n +", " ", TEXT)

#: What stands for something of the reader's, and something that it could be.
STANDS_FOR = {
    "PROJECT": "acme-prod",
    "NUMBER": "415926535897",
    "OWNER": "acme",
    "NAME": "my-model",
    "FAMILY": "tabular",
}


def verbs() -> list[str]:
    found = re.findall(r"python -m deploy ([a-z][^`\n#)]*)", COMMANDS)
    return [call.strip() for call in found if "…" not in call]


@pytest.mark.parametrize("call", sorted(set(verbs())))
def test_a_verb_and_its_flags_are_there(call: str) -> None:
    words = shlex.split(call)
    _parser(words).parse_args(words)


def test_the_table_of_costs_is_what_the_code_computes() -> None:
    assert "\n".join(cost_table.lines()) in TEXT


def test_what_pings_cost_is_what_the_plan_tells() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "warmup", "--plan"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition("\n\n")[0] in TEXT


def test_files_that_are_named_are_there() -> None:
    for name in set(re.findall(r"`((?:deploy|docs|functions|tests)/[\w./-]+)`", TEXT)):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
def test_gcloud_accepts_its_commands(tmp_path: Path) -> None:
    found = [
        line.partition("   #")[0].strip() for line in re.findall(r"^(?:`?)(gcloud [^\n`]+)", COMMANDS, re.MULTILINE)
    ]
    found = [part for line in found for part in line.split(" && ")]
    assert len(found) > 5
    filled = [re.sub("|".join(STANDS_FOR), lambda match: STANDS_FOR[match[0]], command) for command in found]
    assert refused(filled, tmp_path) == {}
