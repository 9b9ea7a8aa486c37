"""A job and a model to write about, without Beam."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.batch.job import Job
from deploy.batch.pinned import PinnedModel
from model_functions.artifact.signing import Trust
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore


@pytest.fixture
def pinned(store_folder: Path, trust: Trust) -> PinnedModel:
    return PinnedModel.at(Repository(FolderStore(store_folder), trust), "tiny_classifier")


@pytest.fixture
def job(pinned: PinnedModel, tmp_path: Path) -> Job:
    return Job(pinned, "prod", str(tmp_path / "in"), "json_lines", str(tmp_path / "out"), rows=2)


@pytest.fixture
def other_job(job: Job) -> Job:
    return replace(job, parameters={"method": "predict"})
