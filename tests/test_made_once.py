import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.made_once import made_once


def test_one_worker_makes_it_for_all(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def make(folder: Path) -> None:
        with open(log, "a") as told:
            told.write("made\n")
        time.sleep(0.05)
        (folder / "whole").touch()

    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda _: made_once(tmp_path_factory, "wanted_by_four", make), range(4)))
    assert [(folder / "whole").exists() for folder in found] == [True] * 4
    assert log.read_text() == "made\n"


def test_what_was_left_half_made_is_made_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        made_once(tmp_path_factory, "failed", fail)
    assert not list(made_once(tmp_path_factory, "failed", lambda _: None).iterdir())


@pytest.mark.parametrize(("worker", "shared"), [("gw0", True), ("", False)], ids=["worker", "alone"])
def test_workers_share_what_lies_beside_their_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, worker: str, shared: bool
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    folder = made_once(tmp_path_factory, f"of_{os.getpid()}_{worker}", lambda _: None)
    base = tmp_path_factory.getbasetemp()
    assert folder.parent == (base.parent if shared else base)
