"""Training: a finished folder is recognised, a stale or unfinished one is not."""

import json
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_wine

from deploy.samples.training import STAMP, ensure_trained, is_trained, train_sample


def test_the_wine_model_reaches_its_score_and_answers_with_its_classes(tmp_path: Path) -> None:
    score = train_sample("wine_model", tmp_path / "wine_model", progress=False)
    assert score.value >= score.minimum == 0.94
    model = joblib.load(tmp_path / "wine_model" / "model.joblib")
    wines = load_wine(as_frame=True).data.head(3)
    assert list(model.feature_names_in_) == list(wines.columns)
    assert set(model.predict(wines)) == {"class_0"}
    assert model.predict_proba(wines).shape == (3, 3)


def test_a_finished_folder_is_not_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "wine_model"
    assert not is_trained(folder, "wine_model")
    score = ensure_trained("wine_model", folder, progress=False)
    trained_at = (folder / STAMP).stat().st_mtime_ns
    assert is_trained(folder, "wine_model")
    assert ensure_trained("wine_model", folder, progress=False) == score
    assert (folder / STAMP).stat().st_mtime_ns == trained_at


@pytest.mark.parametrize("stamp", ["", "{}", json.dumps({"name": "wine_model", "sources": "older"})])
def test_a_folder_of_other_sources_is_stale(tmp_path: Path, stamp: str) -> None:
    (tmp_path / STAMP).write_text(stamp)
    assert not is_trained(tmp_path, "wine_model")
