"""The fakes as pytest fixtures."""

from collections.abc import Iterator

import pytest

from tests.fakes.bucket import FakeBucket


@pytest.fixture
def fake_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBucket]:
    """An empty bucket "models", to which STORAGE_EMULATOR_HOST points."""
    with FakeBucket("models") as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        yield bucket
