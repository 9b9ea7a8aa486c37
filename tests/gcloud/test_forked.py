"""That a fork of gcloud is gcloud."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.gcloud import forked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]


@pytest.mark.parametrize(
    "arguments", [["config", "list"], ["nonsense"], ["version", "--format=json"], ["config", "set", "project", "x y"]]
)
def test_it_answers_as_the_program_does(arguments: list[str], tmp_path: Path) -> None:
    told = []
    for path in (os.environ["PATH"], f"{forked.folder()}:{os.environ['PATH']}"):
        environment = os.environ | {"PATH": path, "CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_ACCOUNT": "a@b"}
        done = subprocess.run(["gcloud", *arguments], env=environment, capture_output=True, text=True)
        told.append((done.returncode, done.stdout, done.stderr))
    assert told[0] == told[1]
    assert told[1][1] or told[1][2]


def test_whoever_ends_it_ends_its_command(tmp_path: Path) -> None:
    """The command writes when it is asked, which it is not any more."""
    environment = os.environ | {"PATH": f"{forked.folder()}:{os.environ['PATH']}", "CLOUDSDK_CONFIG": str(tmp_path)}
    command = ["gcloud", "config", "configurations", "delete", "other"]
    subprocess.run(["gcloud", "config", "configurations", "create", "other", "--no-activate"], env=environment)
    asking = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert asking.stdin is not None
    assert asking.stderr is not None
    with asking:
        said = ""
        while not said.endswith("Do you want to continue (Y/n)?"):
            said += (letter := asking.stderr.read(1))
            assert letter, said
        asking.send_signal(signal.SIGTERM)
        assert asking.wait(20) == -signal.SIGTERM
    listed = subprocess.run(
        ["gcloud", "config", "configurations", "list"], env=environment, capture_output=True, text=True
    )
    assert "other" in listed.stdout
