"""Publishes our models into the bucket: ``python -m tests.benchmarks.warm.publishing NAME…``, with MODEL_STORE set.

Prints what came of each name as JSON: its engine, or why it is not there.
"""

import sys

import joblib

from deploy.sources.own_wrapper import load_class
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper
from tests.benchmarks.publishing import Model, publish_all
from tests.benchmarks.warm import items, places, texts


def models() -> list[Model]:
    asked = items.read()
    examples = [item.data for item in asked[texts.MIXED][:8]]

    def classifier() -> ModelWrapper:
        return TextClassificationWrapper.from_source(str(places.CLASSIFIER))

    def wine() -> ModelWrapper:
        return TabularWrapper.from_estimator(joblib.load(places.WINE_FILE), asked["wine"][0].data)

    def nothing() -> ModelWrapper:
        return load_class(str(places.NOTHING))(TextInput())

    return [
        Model("classifier_fp32", classifier, examples, precision="fp32"),
        Model("classifier_auto", classifier, examples),
        Model("wine", wine, [asked["wine"][0].data]),
        Model("nothing", nothing, [asked["nothing"][0].data]),
    ]


if __name__ == "__main__":
    publish_all([model for model in models() if model.name in sys.argv[1:]])
