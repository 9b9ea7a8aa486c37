"""Publishes models into the bucket that MODEL_STORE names, signed by a key of this run alone."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.repository import Repository
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper
from tests.benchmarks.bucket_process import BUCKET
from tests.benchmarks.places import TRUST


@dataclass(frozen=True)
class Model:
    """A name in the store.

    Args:
        examples: data that it takes; the first is what cold starts ask.
        engine: one of deploy.fast_lane.ENGINES.
        precision: one of deploy.fast_lane.PRECISIONS.
    """

    name: str
    wrapper: Callable[[], ModelWrapper]
    examples: list[Any]
    engine: str = "auto"
    precision: str = "auto"


def publish_all(models: Iterable[Model]) -> None:
    """Prints what came of each as a line of JSON: its engine and its bytes in the store, or why it is not there."""
    key = SigningKey.generate()
    trusted = key.trusted("this run of the benchmark", local=True)
    TRUST.write_text(json.dumps({"keys": [trusted.entry()]}))
    repository = Repository(open_store(f"gs://{BUCKET}"), Trust([trusted]))
    for model in models:
        print(json.dumps(_published(model, repository, key)), flush=True)


def _published(model: Model, repository: Repository, key: SigningKey) -> dict[str, Any]:
    try:
        published = publish(
            model.wrapper(),
            name=model.name,
            examples=model.examples,
            repository=repository,
            key=key,
            engine=model.engine,
            precision=model.precision,
        )
    except ValueError as exc:
        return {"name": model.name, "reason": str(exc)}
    record = published.manifest.engine
    return {
        "name": model.name,
        "engine": record.name,
        "precision": record.precision,
        "note": published.note,
        "stored": sum(entry.size for entry in published.manifest.files.values()),
        "example": model.examples[0],
    }
