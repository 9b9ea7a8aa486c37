"""gcloud's own opinion of commands: it knows every command and flag, and needs no network."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest


def refused(commands: Iterable[str], folder: Path) -> dict[str, str]:
    """The commands that gcloud does not take, each with the reason. Asked of all at once, for it starts slowly.

    Args:
        folder: empty, for gcloud's configuration.
    """
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed, and it is what judges its own commands")
    commands = list(commands)
    file = folder / "commands.json"
    file.write_text(json.dumps([{"command_string": command} for command in commands]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env={"CLOUDSDK_CONFIG": str(folder), "PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    # It exits with 0 whatever it thinks of them.
    verdicts = json.loads(done.stdout)
    assert len(verdicts) == len(set(commands)), "gcloud judged each"
    return {one["command_string"]: one["error_message"] for one in verdicts if not one["success"]}
