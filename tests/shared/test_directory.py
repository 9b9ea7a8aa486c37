import pytest

from deploy.publish import publish
from model_functions import directory
from model_functions.artifact.signing_key import SigningKey
from model_functions.directory import Directory
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository

ROW = [0.5, 1.0, 2.0]


@pytest.fixture
def names(repository: Repository, key: SigningKey, classifier: TabularWrapper) -> Directory:
    publish(classifier, name="wine", examples=[ROW], repository=repository, key=key)
    return Directory(repository)


def test_a_name_has_its_family(names: Directory) -> None:
    assert names.names() == ["wine"]
    assert names.families("wine") == ["tabular"]
    assert names.families("beer") == []
    assert names.families("../wine") == []


def test_a_directory_of_one_family_knows_no_other(repository: Repository, names: Directory) -> None:
    assert Directory(repository, "tabular").names() == ["wine"]
    assert Directory(repository, "translation").names() == []


def test_a_new_name_is_looked_for_and_a_known_one_is_not(
    names: Directory,
    repository: Repository,
    key: SigningKey,
    classifier: TabularWrapper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names.names()
    publish(classifier, name="beer", examples=[ROW], repository=repository, key=key)
    assert names.names() == ["wine"], "as it was read"
    assert names.families("beer") == [], "looked for a moment ago"
    monkeypatch.setattr(directory, "MISS_TTL_S", 0)
    assert names.families("beer") == ["tabular"]
