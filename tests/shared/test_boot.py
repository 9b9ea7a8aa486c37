import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_functions.boot import Boot
from model_functions.phases import Phases

SHARED = Path(__file__).parents[2] / "shared"


def test_the_first_load_alone_is_charged_with_the_boot() -> None:
    boot, first, second = Boot(), Phases(), Phases()
    boot.charge(first)
    boot.charge(second)
    assert list(first.milliseconds) == ["boot", "idle"]
    assert second.milliseconds == {}


def test_the_boot_begins_with_the_process_and_ends_with_the_worker() -> None:
    code = (
        "import time; time.sleep(0.2)\n"
        "from model_functions.boot import BOOT\n"
        "from model_functions.phases import Phases\n"
        "import os; time.sleep(0.2); child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "else: time.sleep(0.1); phases = Phases(); BOOT.charge(phases); print(phases.ledger())\n"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SHARED)},
        capture_output=True,
        text=True,
        check=True,
    )
    wall = (time.perf_counter() - started) * 1000
    ledger = eval(done.stdout)  # a dict of ours
    assert 400 < ledger["boot"] < wall - 90
    assert ledger["idle"] == pytest.approx(100, abs=30)
    assert ledger["total"] <= wall + 10
