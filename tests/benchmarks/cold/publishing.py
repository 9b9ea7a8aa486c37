"""Publishes the models into the bucket: ``python -m tests.benchmarks.cold.publishing``, with MODEL_STORE set.

Prints what came of each name as JSON: its engine and its bytes in the store, or why it is not there.
"""

import sys
from collections.abc import Callable
from typing import Any

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.wrapper import ModelWrapper
from tests.benchmarks import words
from tests.benchmarks.places import MODELS
from tests.benchmarks.publishing import Model, publish_all

NEW_TOKENS = {"max_new_tokens": 20, "min_new_tokens": 20}


def wine() -> tuple[Any, dict[str, float]]:
    """A fitted pipeline and a row that it takes."""
    data = load_wine(as_frame=True)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.data, data.target)
    return pipeline, {name: float(value) for name, value in data.data.iloc[0].items()}


def models() -> list[Model]:
    text = words.text()
    pipeline, row = wine()

    def tagger(folder: str) -> Callable[[], ModelWrapper]:
        return lambda: TokenClassificationWrapper.from_source(str(MODELS / folder))

    def generator() -> ModelWrapper:
        return SummarizationWrapper.from_source(str(MODELS / "generator"), defaults=NEW_TOKENS)

    return [
        Model("bert_torch", tagger("bert"), [text], "torch"),
        Model("bert_fast", tagger("bert"), [text]),
        Model("bert_onnxruntime", tagger("bert"), [text], "onnxruntime"),
        Model("quarter_torch", tagger("quarter"), [text], "torch"),
        Model("quarter_fast", tagger("quarter"), [text]),
        Model("generator", generator, [text]),
        Model("wine", lambda: TabularWrapper.from_estimator(pipeline, row), [row]),
    ]


if __name__ == "__main__":
    publish_all([model for model in models() if model.name in sys.argv[1:]])
