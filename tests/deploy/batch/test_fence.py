"""Two runs never write to one output at a time, nor does a worker of a run that is over."""

import threading
from pathlib import Path

import pytest

from deploy.batch.fence import Fence, FenceClosed
from model_functions.errors import Conflict


def test_a_second_run_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    with Fence.raised(output), pytest.raises(Conflict, match=f"Another job writes to {output}. Wait for its end"):  # noqa: SIM117
        with Fence.raised(output):
            pass
    with Fence.raised(output):
        pass


@pytest.mark.parametrize("output", ["out", "./out", "sub/../out"], ids=["plain", "dot", "detour"])
def test_the_same_folder_has_one_fence_however_it_is_spelled(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with Fence.raised(str(tmp_path / "out")), pytest.raises(Conflict), Fence.raised(output):
        pass


def test_outputs_do_not_hinder_each_other(tmp_path: Path) -> None:
    with Fence.raised(str(tmp_path / "one")), Fence.raised("gs://bucket/one"):
        pass


def test_a_worker_of_an_earlier_run_writes_nothing(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    with Fence.raised(output) as before, before.passed():
        pass
    with Fence.raised(output) as now:
        with now.passed():
            pass
        with pytest.raises(FenceClosed, match="Another job writes to"), before.passed():
            pass


def test_a_run_begins_when_nobody_writes_any_more(tmp_path: Path) -> None:
    output, order = str(tmp_path / "out"), list[str]()
    with Fence.raised(output) as before:
        pass

    def begin() -> None:
        with Fence.raised(output):
            order.append("begun")

    with before.passed():
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(0.2)
        order.append("written")
    thread.join()
    assert order == ["written", "begun"]
