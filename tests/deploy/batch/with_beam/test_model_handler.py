"""The model in a pipeline of anybody's own."""

import pickle
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from deploy.batch.model_handler import PublishedModel
from deploy.batch.pinned import PinnedModel
from deploy.batch.predictor import Predictor
from model_functions.artifact.signing import Trust
from model_functions.errors import ModelNotFound
from model_functions.predictions import close
from model_functions.repository import Repository
from model_functions.store import open_store


def test_run_inference_answers_as_the_model_does(pinned: PinnedModel, rows: list[Any]) -> None:
    wrapper = pinned.load().wrapper
    expected = [[wrapper.predict(row), None, pinned.revision] for row in rows]
    with TestPipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(rows)
            | RunInference(PublishedModel(pinned))
            | beam.Map(lambda one: [one.inference.prediction, one.inference.error, one.model_id])
        )
        # Sums of many rows at once may be rounded otherwise.
        assert_that(found, equal_to(expected, equals_fn=partial(close, tolerance=1e-9)))


def test_rows_may_have_keys_and_a_bad_one_fails_alone(pinned: PinnedModel, rows: list[Any]) -> None:
    asked = [("good", rows[0]), ("bad", {"nothing": 1}), ("other", rows[1])]
    with TestPipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(asked)
            | RunInference(KeyedModelHandler(PublishedModel(pinned)))
            | beam.MapTuple(lambda key, one: (key, one.inference.error and one.inference.error[0]))
        )
        assert_that(found, equal_to([("good", None), ("bad", "invalid_input"), ("other", None)]))


def test_parameters_are_of_every_prediction(pinned: PinnedModel, rows: list[Any]) -> None:
    handler = PublishedModel(pinned, {"method": "predict"})
    model = handler.load_model()
    assert [one.inference.prediction.keys() for one in handler.run_inference(rows[:1], model)] == [{"prediction"}]
    asked = handler.run_inference(rows[:1], model, {"method": "predict_proba"})
    assert [one.inference.prediction.keys() for one in asked] == [{"prediction", "probabilities"}]


def test_it_says_how_much_it_wants_at_once(pinned: PinnedModel) -> None:
    assert PublishedModel(pinned).batch_elements_kwargs() == {"max_batch_size": 1024}
    assert PublishedModel(pinned, min_batch_size=5, max_batch_size=7).batch_elements_kwargs() == {
        "min_batch_size": 5,
        "max_batch_size": 7,
    }


def test_its_metrics_have_the_models_name_and_count_rows(pinned: PinnedModel, rows: list[Any]) -> None:
    with TestPipeline() as pipeline:
        _ = pipeline | beam.Create(rows) | RunInference(PublishedModel(pinned))
    counters = pipeline.result.metrics().query()["counters"]
    counted = Counter({one.key.metric.name: one.committed for one in counters})
    assert {one.key.metric.namespace for one in counters} >= {"model_functions/tabular/tiny_classifier"}
    assert counted["num_inferences"] == len(rows)


def test_the_revision_is_the_one_of_when_it_was_made(pinned: PinnedModel) -> None:
    repository = Repository(open_store(pinned.store), Trust(list(pinned.trust)))
    handler = PublishedModel.of("tiny_classifier", repository=repository)
    assert handler.model == pinned
    assert PublishedModel.of("tiny_classifier", revision=pinned.revision, repository=repository).model == pinned
    with pytest.raises(ModelNotFound, match='No model "tiny_classifier" is published as "canary" in tabular'):
        PublishedModel.of("tiny_classifier", alias="canary", repository=repository)


def test_a_worker_gets_the_name_of_the_model_and_not_the_model(pinned: PinnedModel) -> None:
    handler = PublishedModel(pinned)
    assert len(pickle.dumps(handler)) < 3000
    assert isinstance(pickle.loads(pickle.dumps(handler)).load_model(), Predictor)
    with pytest.raises(ModelNotFound):
        PublishedModel(replace(pinned, revision="0" * 12)).load_model()


def test_it_is_loaded_once_for_all_threads(
    pinned: PinnedModel, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    plain = PinnedModel.load

    def counted(model: PinnedModel) -> Any:
        loads.append(model.name)
        return plain(model)

    monkeypatch.setattr(PinnedModel, "load", counted)
    options = ["--direct_running_mode=multi_threading", "--direct_num_workers=4"]
    with beam.Pipeline("apache_beam.runners.portability.fn_api_runner.FnApiRunner", argv=options) as pipeline:
        _ = pipeline | beam.Create(rows * 10) | beam.Reshuffle() | RunInference(PublishedModel(pinned))
    assert loads == ["tiny_classifier"]
