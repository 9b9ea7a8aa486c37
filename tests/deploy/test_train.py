from pathlib import Path

import pytest

from deploy import train
from deploy.__main__ import main


@pytest.fixture
def samples(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where samples are trained."""
    monkeypatch.setattr(train, "BUILD", workshop / "samples")
    return workshop / "samples"


def test_a_sample_is_trained_and_published_once(
    samples: Path, workshop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "wine_model"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("wine_model: accuracy 0.9")
    assert told[1].startswith("wine_model: published as revision ")
    trained = (samples / "wine_model" / "model.joblib").stat().st_mtime_ns

    assert main(["train", "wine_model"]) == 0
    assert capsys.readouterr().out.splitlines() == told[:1]
    assert (samples / "wine_model" / "model.joblib").stat().st_mtime_ns == trained

    monkeypatch.setenv("MODEL_STORE", str(workshop / "another"))
    assert main(["train", "wine_model"]) == 0
    assert capsys.readouterr().out.splitlines() == told, "the same revision, in the other store"


def test_an_unknown_sample_lists_those_there_are(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "beer_model"]) == 1
    assert 'There is no sample "beer_model". There are: digits_model, digits_onnx, ' in capsys.readouterr().err
