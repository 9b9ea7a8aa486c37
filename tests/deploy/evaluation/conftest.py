"""Published models to evaluate: two revisions of one, of which the first is the better one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from deploy import publisher
from deploy.project import ROOT
from deploy.publish import publish
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from tests.tiny_models import llama_folder

#: Whether the first number is the larger one.
ROWS = [[a, b] for a in range(6) for b in range(6) if a != b]
RIGHT = ["more" if a > b else "less" for a, b in ROWS]

#: As a person types it, but for the keys; in a process of its own, since Beam's packages change what others import.
_TYPED = """
import sys
from pathlib import Path
from deploy import publisher
from deploy.__main__ import main
publisher.LOCAL_KEY = Path(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""

Evaluate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def evaluate(workshop: Path) -> Evaluate:
    """Evaluates a model with the file ``labelled.jsonl``, or another; the output is ``evaluation`` beside it."""

    def run(*more: str, model: str = "larger", data: str = "labelled.jsonl") -> subprocess.CompletedProcess[str]:
        files = ["--data", str(workshop / data), "--output", str(workshop / "evaluation"), "--workers", "1"]
        command = [sys.executable, "-c", _TYPED, str(publisher.LOCAL_KEY), "evaluate", model, *files, *more]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")])}
        return subprocess.run(command, env=environment, cwd=workshop, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def revisions(workshop: Path) -> tuple[str, str]:
    """Of the model "larger": the one that "prod" names is always right, the other one always says "more"."""
    table = np.array(ROWS, dtype=float)
    estimators = (DecisionTreeClassifier(random_state=0).fit(table, RIGHT), DummyClassifier(strategy="most_frequent"))
    estimators[1].fit(table, ["more"] * len(RIGHT))
    good, bad = (
        publish(
            TabularWrapper.from_estimator(estimator, ROWS[0], columns=["a", "b"]),
            name="larger",
            examples=[ROWS[0]],
            alias=alias,
            repository=publisher.open_repository(),
            key=publisher.signing_key(),
        ).manifest.revision
        for estimator, alias in zip(estimators, ("prod", None), strict=True)
    )
    return good, bad


@pytest.fixture
def published_writer(workshop: Path) -> Path:
    """The folder of the model that is published as "writer"."""
    folder = llama_folder(workshop / "decoder")
    wrapper = TextGenerationWrapper.from_source(str(folder))
    publish(
        wrapper,
        name="writer",
        examples=["anna lives"],
        repository=publisher.open_repository(),
        key=publisher.signing_key(),
    )
    return folder


@pytest.fixture
def labelled(workshop: Path) -> Path:
    return json_lines(workshop / "labelled.jsonl", labelled_rows())


def labelled_rows() -> list[dict[str, Any]]:
    return [
        {"id": number, "data": row, "label": right} for number, (row, right) in enumerate(zip(ROWS, RIGHT, strict=True))
    ]


def json_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path
