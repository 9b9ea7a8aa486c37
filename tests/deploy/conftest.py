"""A publisher of its own: its key, its store, its staged folders, all in a temporary folder."""

from pathlib import Path

import pytest

from deploy import publisher


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the verbs work: ``store`` below it is MODEL_STORE, ``keys`` has the local key."""
    monkeypatch.setattr(publisher, "LOCAL_KEY", tmp_path / "keys" / "local.pem")
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MODEL_SIGNING_KEY", raising=False)
    return tmp_path
