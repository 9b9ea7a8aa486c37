"""What becomes of a process whose event loop stands still."""

import json
import subprocess
import sys
from pathlib import Path

from model_functions.http import pulse

_LOOP = """
import asyncio, sys, time
from model_functions import logs
from model_functions.http import pulse

async def serve(seconds, times):
    pulse.watch(asyncio.get_running_loop())
    for _ in range(times):
        await asyncio.sleep(0.1)
        hangs(seconds)
    print("served")

def hangs(seconds):
    time.sleep(seconds)

logs.configure("INFO")
pulse.LOOK_S = 0.1
asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
"""


def served(seconds: float, times: int) -> subprocess.CompletedProcess[str]:
    """A loop that stands still for so long, so often."""
    environment = {"PYTHONPATH": str(Path(pulse.__file__).parents[2])}
    command = [sys.executable, "-c", _LOOP, str(seconds), str(times)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)


def test_a_loop_that_stands_still_ends_its_worker_and_says_where() -> None:
    done = served(20, 1)
    assert done.returncode == 1
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["severity"], told["message"]) == ("ERROR", "the event loop stands still")
    assert "hangs" in told["stack"]


def test_a_loop_that_stirs_now_and_then_goes_on() -> None:
    done = served(0.25, 8)
    assert (done.returncode, done.stdout) == (0, "served\n")
