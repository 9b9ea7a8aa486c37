"""What the tests ask of every family, with the tiny models of the common store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_functions.families.image_classification import GREY_SQUARE
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES
from tests.tiny_models import TEXT

ROW = [0.5, 1.0, 2.0]

#: Model, data, and the field of its prediction.
QUESTIONS: list[tuple[str, Any, str]] = [
    ("tiny_tagger", TEXT, "entity_group"),
    ("tiny_summarizer", TEXT, "summary_text"),
    ("tiny_translator", TEXT, "translation_text"),
    ("tiny_classifier", ROW, "prediction"),
    ("tiny_eye", GREY_SQUARE, "label"),
    ("tiny_writer", "hello world", "generated_text"),
]


@pytest.fixture(scope="session")
def bucket(graph_store_folder: Path) -> Iterator[FakeBucket]:
    """The common store in a bucket, under ``gs://models/team``."""
    with FakeBucket("models") as bucket:
        for path in graph_store_folder.rglob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                bucket.put(f"team/{path.relative_to(graph_store_folder)}", path.read_bytes())
        yield bucket


@pytest.fixture(params=EDGES, scope="module")
def edge(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of one edge and then of the other."""
    found: dict[str, str] = EDGES[request.param]
    return found


every_family = pytest.mark.parametrize(("name", "data", "field"), QUESTIONS, ids=[name for name, *_ in QUESTIONS])
