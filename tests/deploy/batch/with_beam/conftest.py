"""These run where Beam is: tests/deploy/batch/test_where_beam_is.py has them run in a process that finds it."""

import importlib.util

import pytest

from deploy.batch.pinned import PinnedModel
from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests import tiny_models

if importlib.util.find_spec("apache_beam") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def pinned(tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey) -> PinnedModel:
    repository = Repository(FolderStore(tmp_path_factory.mktemp("store")), trust)
    example = dict.fromkeys(tiny_models.COLUMNS, 0.5)
    wrapper = TabularWrapper.from_estimator(tiny_models.classifier(), example)
    publish(wrapper, name="tiny_classifier", examples=[example], repository=repository, key=key, engine="torch")
    return PinnedModel.at(repository, "tabular/tiny_classifier")


@pytest.fixture
def rows() -> list[dict[str, float]]:
    return [dict.fromkeys(tiny_models.COLUMNS, number / 10) for number in range(20)]
