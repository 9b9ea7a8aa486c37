"""Functions of every family over the common store, to be asked in each protocol."""

from pathlib import Path

import pytest

from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.settings import Settings


@pytest.fixture(scope="session")
def settings(store_folder: Path, trust_file: Path) -> Settings:
    return Settings.from_environment({"MODEL_STORE": str(store_folder), "MODEL_TRUST": str(trust_file)})


@pytest.fixture(scope="session")
def tabular(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TabularWrapper, settings)


@pytest.fixture(scope="session")
def tagging(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TokenClassificationWrapper, settings)


@pytest.fixture(scope="session")
def translating(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TranslationWrapper, settings)


@pytest.fixture(scope="session")
def seeing(settings: Settings) -> FamilyFunction:
    return FamilyFunction(ImageClassificationWrapper, settings)


@pytest.fixture(scope="session")
def writing(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TextGenerationWrapper, settings)
