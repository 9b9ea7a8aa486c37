"""Training: a finished folder is recognised, a stale or unfinished one is not."""

import json
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest
from sklearn.datasets import load_wine

from deploy.samples import Score, ScoreTooLow, training
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


def test_a_training_that_ends_badly_begins_again_from_the_next_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = {1: 0.4, 2: 0.5, 3: 0.9, 4: 1.0}

    def train(folder: Path, *, seed: int, progress: bool) -> Score:
        (folder / "seed").write_text(str(seed))
        return Score("accuracy", reached[seed], 0.8, 100).require()

    sample = SimpleNamespace(SEEDS=(1, 2, 3, 4), train=train, FAMILY="tabular")
    monkeypatch.setattr(training, "load_sample", lambda name: sample)
    assert train_sample("wine_model", tmp_path / "model", progress=False).value == 0.9
    assert (tmp_path / "model" / "seed").read_text() == "3"
    assert capsys.readouterr().err.count("Trains again, from another seed.") == 2
    sample.SEEDS = (1, 2)
    with pytest.raises(ScoreTooLow, match=r"accuracy 0\.500 .*too low to serve"):
        train_sample("wine_model", tmp_path / "model", progress=False)
    assert (tmp_path / "model" / "seed").read_text() == "3", "what was there stays"


@pytest.mark.parametrize("stamp", ["", "{}", json.dumps({"name": "wine_model", "sources": "older"})])
def test_a_folder_of_other_sources_is_stale(tmp_path: Path, stamp: str) -> None:
    (tmp_path / STAMP).write_text(stamp)
    assert not is_trained(tmp_path, "wine_model")
