"""The steps of a Dockerfile, run on this machine in an empty folder that stands for the image's root.

Absolute paths that the Dockerfile names are taken under that folder; what it does not name, as Python itself, is this
machine's. Each stage begins with an empty root.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

#: Where the interpreter of a base image stands here.
PYTHON = Path(sys.base_prefix) / "bin"


class Image:
    """What a Dockerfile makes of a context.

    Args:
        root: must not be there yet.
    """

    def __init__(self, dockerfile: Path, context: Path, root: Path) -> None:
        self.context, self.root = context, root
        self.user: tuple[int, int] | None = None
        self.command: list[str] = []
        self.environment: dict[str, str] = {}
        self._stage = self._place = ""
        with open(dockerfile, "rb") as file:
            self._steps = [
                step for step in DockerfileParser(fileobj=file).structure if step["instruction"] != "COMMENT"
            ]
        named = re.findall(r"(?<![\w.:/-])/[a-z]+", " ".join(str(step["value"]) for step in self._steps))
        self._ours = sorted(set(named) - {"/usr", "/bin", "/tmp"})

    def build(self) -> None:
        for step in self._steps:
            getattr(self, f"_{step['instruction'].lower()}")(step["value"])

    def run(self) -> subprocess.Popen[str]:
        """The image's command, by its user if this process may become that."""
        who: dict[str, Any] = {}
        if self.user is not None and self.may_become(self.user):
            who = {"user": self.user[0], "group": self.user[1], "extra_groups": []}
        process: subprocess.Popen[str] = subprocess.Popen(
            [self._here(word) for word in self.command],
            cwd=self._inside(self._place),
            env=self._variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **who,
        )
        return process

    @staticmethod
    def may_become(user: tuple[int, int]) -> bool:
        """Whether this process may start one of theirs, and they may start this machine's Python."""
        if os.getuid() != 0:
            return False
        try:
            subprocess.run([str(PYTHON / "python3"), "-c", ""], user=user[0], group=user[1], check=True)
        except (PermissionError, subprocess.CalledProcessError):
            return False
        return True

    def _from(self, value: str) -> None:
        if self.root.exists():
            self.root.rename(self._stage_root(self._stage))
        self.root.mkdir()
        self._stage = value.partition(" AS ")[2]
        self.environment, self._place, self.user = {}, "/", None

    def _copy(self, value: str) -> None:
        *options, source, target = value.split()
        origin = self.context
        for option in options:
            origin = self._stage_root(option.removeprefix("--from="))
        found = origin / source.lstrip("/")
        there = self._inside(target)
        if found.is_dir():
            shutil.copytree(found, there, symlinks=True, dirs_exist_ok=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, there)

    def _workdir(self, value: str) -> None:
        self._place = value
        self._inside(value).mkdir(parents=True, exist_ok=True)

    def _run(self, value: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", self._here(value)],
            cwd=self._inside(self._place),
            env=self._variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {value}\n{done.stdout}{done.stderr}"

    def _user(self, value: str) -> None:
        user, group = (int(number) for number in value.split(":"))
        self.user = user, group

    def _env(self, value: str) -> None:
        self.environment |= dict(re.findall(r"(\w+)=(\S+)", value))

    def _expose(self, value: str) -> None:
        assert value == self.environment["PORT"]

    def _cmd(self, value: str) -> None:
        self.command = json.loads(value)

    def _variables(self) -> dict[str, str]:
        path = self._here(self.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin"))
        # pip finds packages where this machine's settings say.
        pip: Iterator[tuple[str, Any]] = ((name, value) for name, value in os.environ.items() if "PIP" in name)
        return {**dict(pip), **self.environment, "PATH": f"{path}:{PYTHON}"}

    def _here(self, text: str) -> str:
        for path in self._ours:
            text = re.sub(rf"(?<![\w.-]){path}\b", str(self._inside(path)), text)
        return text

    def _inside(self, path: str) -> Path:
        return self.root / (path if path.startswith("/") else f"{self._place}/{path}").lstrip("/")

    def _stage_root(self, stage: str) -> Path:
        return self.root.with_name(f"{self.root.name}-{stage}")
