"""Where the torture happens: a bucket, a publisher, functions over staged folders, and what they wrote."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from deploy.project import BUILD
from deploy.publish import Published, publish
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.repository import Repository
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES, Process, emulator, free_port, function

FOLDER = BUILD / "torture"


class Place:
    """One for a whole run.

    Args:
        bucket: holds the models at ``gs://models``; its faults are the parts' own.
    """

    def __init__(self, bucket: FakeBucket) -> None:
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.folder = FOLDER
        self.logs = FOLDER / "logs"
        self.logs.mkdir(parents=True)
        self.bucket = bucket
        self.key = SigningKey.generate()
        self.trusted = self.key.trusted("the torture")
        self.trust_file = FOLDER / "trust.json"
        self.trust_file.write_text(json.dumps({"keys": [self.trusted.entry()]}))
        self.repository = Repository(open_store("gs://models"), Trust([self.trusted]))
        self.canary = f"canary-{secrets.token_hex(12)}"
        """A text to ask with, which no log may show."""
        self._numbers = count(1)
        self._staged: dict[str, Path] = {}

    def publish(self, name: str, wrapper: ModelWrapper, examples: list[Any], **more: Any) -> Published:
        """As ``deploy.publish.publish`` does it, engine ``torch`` if no other is given."""
        options = {"engine": "torch"} | more
        return publish(wrapper, name=name, examples=examples, repository=self.repository, key=self.key, **options)

    def settings(self, **more: str) -> dict[str, str]:
        """The variables of every function here."""
        return {
            "STORAGE_EMULATOR_HOST": self.bucket.url,
            "MODEL_STORE": "gs://models",
            "MODEL_TRUST": str(self.trust_file),
        } | more

    @contextmanager
    def function(self, family: str, edge: str = "asgi", **environment: str) -> Iterator[tuple[str, Process]]:
        """The family's function in a process of its own: its address and its process. What it wrote is kept."""
        with function(self.staged(family), free_port(), **self.settings(**EDGES[edge], **environment)) as running:
            try:
                yield running
            finally:
                self._keep(f"{family}-{edge}", running[1])

    @contextmanager
    def emulator(self, **environment: str) -> Iterator[tuple[str, Process]]:
        """All functions behind one address, as ``make run`` has them."""
        with emulator("gs://models", **self.settings(**environment)) as running:
            try:
                yield running
            finally:
                self._keep("emulator", running[1])

    def staged(self, family: str) -> Path:
        if family not in self._staged:
            self._staged[family] = stage(family, build=self.folder / "build")
        return self._staged[family]

    def keep(self, name: str, text: str) -> None:
        """For the search for secrets at the end: anything that somebody outside may see."""
        (self.logs / f"{next(self._numbers):03d}-{name}.log").write_text(text)

    def _keep(self, name: str, process: Process) -> None:
        process.stop()
        self.keep(name, "\n".join(process.lines))


@contextmanager
def opened() -> Iterator[Place]:
    """A place, for as long as it is entered."""
    with FakeBucket("models") as bucket:
        os.environ["STORAGE_EMULATOR_HOST"] = bucket.url
        yield Place(bucket)
