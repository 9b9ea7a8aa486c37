"""Requests that are read together get what each would get alone."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_functions.caller import Caller
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.generation import GenerationWrapper
from model_functions.pace import Pace
from model_functions.predictions import close
from model_functions.queue import ALONE, Work, WorkQueue
from model_functions.rows import Row, RowWrapper
from tests import tiny_models
from tests.shared.test_queue import Asking, until

Asked = tuple[Any, dict[str, Any]]

words = st.sampled_from(tiny_models.TEXT.split())
texts = st.lists(words, min_size=1, max_size=8).map(" ".join)
# A word has three tokens at most, and the model reads 32 of a pair.
halves = st.lists(words, min_size=1, max_size=4).map(" ".join)
one_or_many = st.one_of(texts, st.lists(texts, min_size=1, max_size=5))
few = settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def together(wrapper: RowWrapper, requests: list[Asked]) -> list[Any]:
    """The predictions of requests that all wait when the model gets free."""
    queue, pace, gate, running = WorkQueue(100), Pace(), threading.Event(), threading.Event()
    sizes: list[int] = []

    def block(_: list[Any]) -> list[Any]:
        running.set()
        return [gate.wait(10)]

    blocking = Asking(queue, Work("m", Pace(), block, [Row(None)], ALONE, Caller(), "id"))
    assert running.wait(10)
    prepared = [wrapper.prepare(data, parameters) for data, parameters in requests]
    asking = []
    for one in prepared:

        def read(rows: list[Any], parameters: dict[str, Any] = one.parameters) -> list[Any]:
            sizes.append(len(rows))
            return wrapper.forward_rows(rows, parameters)

        asking.append(Asking(queue, Work("m", pace, read, one.features.rows, wrapper.limits, Caller(), "id")))
        until(lambda: queue.waiting == len(asking))
    gate.set()
    assert blocking.result() == [True]
    outputs = [asking_one.result() for asking_one in asking]
    assert sum(sizes) == sum(len(one.features.rows) for one in prepared)
    return [
        wrapper.finish(one, replace(one.features, outputs=found)) for one, found in zip(prepared, outputs, strict=True)
    ]


def check(wrapper: RowWrapper, requests: list[Asked]) -> None:
    alone = [wrapper.predict(data, parameters) for data, parameters in requests]
    # Of several rows a matrix product is rounded otherwise.
    assert close(together(wrapper, requests), alone, 1e-5)


@pytest.fixture(scope="module")
def classifier_of_texts(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationWrapper:
    labels = ("contradiction", "neutral", "entailment")
    folder = tiny_models.text_classifier_folder(tmp_path_factory.mktemp("texts"), labels)
    return TextClassificationWrapper.from_source(str(folder))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> FeatureExtractionWrapper:
    folder: Path = tiny_models.sentence_folder(tmp_path_factory.mktemp("sentences"))
    return FeatureExtractionWrapper.from_source(str(folder))


@few
@given(
    requests=st.lists(
        st.tuples(
            one_or_many, st.fixed_dictionaries({"aggregation_strategy": st.sampled_from(["none", "first", "max"])})
        ),
        min_size=1,
        max_size=6,
    )
)
def test_taggers(tagger: TokenClassificationWrapper, requests: list[Asked]) -> None:
    check(tagger, requests)


classified = st.one_of(
    st.tuples(one_or_many, st.fixed_dictionaries({"top_k": st.integers(1, 3)})),
    st.tuples(st.builds(lambda text, pair: {"text": text, "text_pair": pair}, halves, halves), st.just({})),
    st.tuples(
        one_or_many,
        st.fixed_dictionaries(
            {
                "candidate_labels": st.just(["anna", "berlin"]),
                "hypothesis_template": st.just("{}"),
                "multi_label": st.booleans(),
            }
        ),
    ),
)


@few
@given(requests=st.lists(classified, min_size=1, max_size=6))
def test_classifiers(classifier_of_texts: TextClassificationWrapper, requests: list[Asked]) -> None:
    check(classifier_of_texts, requests)


ranked = st.builds(
    lambda query, documents: {"query": query, "documents": documents}, texts, st.lists(texts, min_size=1, max_size=4)
)
embedded = st.one_of(
    st.tuples(one_or_many, st.fixed_dictionaries({"normalize": st.booleans(), "truncate": st.just(True)})),
    st.tuples(one_or_many, st.fixed_dictionaries({"prompt": words, "truncate": st.just(True)})),
    st.tuples(ranked, st.just({"truncate": True})),
)


@few
@given(requests=st.lists(embedded, min_size=1, max_size=6))
def test_sentence_encoders(embedder: FeatureExtractionWrapper, requests: list[Asked]) -> None:
    check(embedder, requests)


@few
@given(
    requests=st.lists(
        st.tuples(
            one_or_many,
            st.fixed_dictionaries(
                {
                    "max_new_tokens": st.integers(1, 8),
                    "num_beams": st.sampled_from([1, 3]),
                    "no_repeat_ngram_size": st.sampled_from([0, 2]),
                }
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_translators(translator: TranslationWrapper, requests: list[Asked]) -> None:
    check(translator, requests)


@few
@given(seeds=st.lists(st.integers(0, 3), min_size=2, max_size=4))
def test_what_is_drawn_is_drawn_as_if_alone(translator: TranslationWrapper, seeds: list[int]) -> None:
    assert isinstance(translator, GenerationWrapper)
    check(translator, [(["anna", "berlin"], {"do_sample": True, "seed": seed, "max_new_tokens": 6}) for seed in seeds])


rows = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


@few
@given(
    requests=st.lists(
        st.tuples(
            st.one_of(rows, st.lists(rows, min_size=1, max_size=9)),
            st.fixed_dictionaries({"method": st.sampled_from(["predict", "predict_proba"])}),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_tables(classifier: TabularWrapper, requests: list[Asked]) -> None:
    check(classifier, requests)


@few
@given(sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=6))
def test_images(eye: ImageClassificationWrapper, sizes: list[tuple[int, int]]) -> None:
    check(eye, [(tiny_models.picture(width, height), {"top_k": 1}) for width, height in sizes])
