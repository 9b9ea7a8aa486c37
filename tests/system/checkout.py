"""A checkout of this tree that a test may change, and the verbs in it, as people type them."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """Args: folder: holds the tree's files, and this Python as its ``.venv``."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Checkout":
        """Skips the test where the tree is no checkout of git."""
        listing = ["git", "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
        if listed.returncode != 0:
            pytest.skip("the tree is no git checkout")
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        return cls(folder)

    def configure(self, families: list[str], canary_seconds: float) -> None:
        """Says in deploy.yaml which families there are, and for how long a new revision is watched."""
        path = self.folder / "deploy" / "deploy.yaml"
        settings: dict[str, Any] = yaml.safe_load(path.read_text())
        settings["canary"]["seconds"] = canary_seconds
        path.write_text(yaml.safe_dump(settings | {"families": families}))

    def run(self, environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        """``python -m deploy`` with these words.

        Args:
            environment: all of it.
        """
        command = [".venv/bin/python", "-m", "deploy", *words]
        return subprocess.run(command, cwd=self.folder, env=dict(environment), capture_output=True, text=True)
