"""What the tests ask of every family, with the tiny models of the common store."""

from typing import Any

import pytest

from tests.tiny_models import TEXT

ROW = [0.5, 1.0, 2.0]

#: Model, data, and the field of its prediction.
QUESTIONS: list[tuple[str, Any, str]] = [
    ("tiny_tagger", TEXT, "entity_group"),
    ("tiny_summarizer", TEXT, "summary_text"),
    ("tiny_translator", TEXT, "translation_text"),
    ("tiny_classifier", ROW, "prediction"),
]

every_family = pytest.mark.parametrize(("name", "data", "field"), QUESTIONS, ids=[name for name, *_ in QUESTIONS])
