"""Publishes the models into the bucket: ``python -m tests.benchmarks.cold.publishing``, with MODEL_STORE set.

Prints what came of each name as JSON: its engine and its bytes in the store, or why it is not there.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper
from tests.benchmarks import words
from tests.benchmarks.bucket_process import BUCKET
from tests.benchmarks.places import MODELS, TRUST

NEW_TOKENS = {"max_new_tokens": 20, "min_new_tokens": 20}


@dataclass(frozen=True)
class Model:
    """A name in the store.

    Args:
        engine: one of deploy.fast_lane.ENGINES.
    """

    name: str
    wrapper: Callable[[], ModelWrapper]
    engine: str
    example: Any


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
        Model("bert_torch", tagger("bert"), "torch", text),
        Model("bert_fast", tagger("bert"), "auto", text),
        Model("quarter_torch", tagger("quarter"), "torch", text),
        Model("quarter_fast", tagger("quarter"), "auto", text),
        Model("generator", generator, "auto", text),
        Model("wine", lambda: TabularWrapper.from_estimator(pipeline, row), "auto", row),
    ]


def main(names: list[str]) -> None:
    """Args: the names to publish."""
    key = SigningKey.generate()
    trusted = key.trusted("this run of the benchmark", local=True)
    TRUST.write_text(json.dumps({"keys": [trusted.entry()]}))
    repository = Repository(open_store(f"gs://{BUCKET}"), Trust([trusted]))
    for model in models():
        if model.name in names:
            print(json.dumps(_published(model, repository, key)), flush=True)


def _published(model: Model, repository: Repository, key: SigningKey) -> dict[str, Any]:
    try:
        published = publish(
            model.wrapper(),
            name=model.name,
            examples=[model.example],
            repository=repository,
            key=key,
            engine=model.engine,
        )
    except ValueError as exc:
        return {"name": model.name, "reason": str(exc)}
    return {
        "name": model.name,
        "engine": published.manifest.engine.name,
        "stored": sum(entry.size for entry in published.manifest.files.values()),
        "example": model.example,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
