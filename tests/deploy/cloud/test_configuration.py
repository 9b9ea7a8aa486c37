"""deploy.yaml: what it must be, what is worked out of it, and what is said of mistakes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cloud.configuration import FILE, Configuration
from deploy.project import function_families

WRITTEN: dict[str, Any] = yaml.safe_load(FILE.read_text())


@pytest.fixture
def given(tmp_path: Path) -> Any:
    def write(**changes: Any) -> Path:
        file = tmp_path / "deploy.yaml"
        file.write_text(yaml.safe_dump(WRITTEN | changes))
        return file

    return write


def test_what_is_null_is_worked_out(given: Any) -> None:
    found = Configuration.read(given(project="acme-prod"))
    assert found.bucket == "acme-prod-models"
    assert found.model_store == "gs://acme-prod-models"
    assert list(found.families) == function_families()
    assert found.github is None
    assert found.account(found.accounts.warmup) == "model-warmup@acme-prod.iam.gserviceaccount.com"
    assert found.function_account("image_classification") == (
        "fn-image-classification@acme-prod.iam.gserviceaccount.com"
    )


def test_flags_come_before_the_file(given: Any) -> None:
    found = Configuration.read(
        given(project="acme-prod", backend="functions"), {"project": "acme-dev", "backend": "run"}
    )
    assert (found.project, found.backend, found.bucket) == ("acme-dev", "run", "acme-dev-models")


def test_a_project_that_the_environment_names_counts_where_the_file_has_none(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "from-gcloud")
    assert Configuration.read(given(project=None)).project == "from-gcloud"


def test_no_project_anywhere_says_where_to_write_it(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r'has no "project".*gcloud config set project PROJECT'):
        Configuration.read(given(project=None))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"region": "Frankfurt"}, 'has "region: Frankfurt". As us-central1.', id="region"),
        pytest.param({"backend": "lambda"}, 'has "backend: lambda". Which of Google', id="backend"),
        pytest.param({"regoin": "us-central1"}, "'regoin' was unexpected", id="a key nobody knows"),
        pytest.param({"canary": {"percent": 10}}, "at canary: 'seconds' is a required property", id="a key less"),
        pytest.param(
            {"canary": WRITTEN["canary"] | {"percent": 100}}, 'has "canary.percent: 100". Of the traffic', id="range"
        ),
        pytest.param({"families": ["tabluar"]}, 'has the family "tabluar". There are: feature', id="family"),
        pytest.param({"bucket": "gs://models"}, 'has "bucket: gs://models". A bucket\'s name without', id="bucket"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_value(given: Any, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Configuration.read(given(project="acme-prod", **changes))


def test_a_file_that_is_no_yaml_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.yaml cannot be read: No such file"):
        Configuration.read(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("project: [")
    with pytest.raises(ValueError, match=r"broken.yaml is no YAML"):
        Configuration.read(broken)
