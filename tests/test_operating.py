"""What docs/operating.md promises: its verbs are there, gcloud accepts its commands, and code computes its costs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.__main__ import _parser
from deploy.cloud import cost_table

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
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what judges its own commands")
    found = [
        line.partition("   #")[0].strip() for line in re.findall(r"^(?:`?)(gcloud [^\n`]+)", COMMANDS, re.MULTILINE)
    ]
    found = [part for line in found for part in line.split(" && ")]
    assert len(found) > 5
    filled = [re.sub("|".join(STANDS_FOR), lambda match: STANDS_FOR[match[0]], command) for command in found]
    # As it quotes: the linter reads words as a shell does.
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"command_string": command} for command in filled]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    for verdict in json.loads(done.stdout):
        assert verdict["success"], (verdict["command_string"], verdict["error_message"])
