"""``warmup --plan --trace``: what it recommends, where to write it, and what it says of a mistake."""

import json
from pathlib import Path

import pytest

from deploy.__main__ import main


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    file = tmp_path / "measured.json"
    family = {"cold_s": [1.0, 1.5], "warm_s": [0.01, 0.012], "work_s": 0.008}
    file.write_text(json.dumps({"where": "a test's machine", "families": {"tabular": family}}))
    return file


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Every twenty minutes, from nine to five, on a Friday."""
    file = tmp_path / "trace.txt"
    minutes = range(9 * 60 + 5, 17 * 60, 20)
    file.write_text("".join(f"2026-11-20T{minute // 60:02}:{minute % 60:02}:00.5Z\n" for minute in minutes))
    return file


def planned(*arguments: object) -> int:
    return main(["warmup", *map(str, arguments), "--plan"])


def test_pings_are_recommended_for_the_hours_of_the_trace(
    trace: Path, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned("tabular", "--trace", trace, "--measured", measured, "--goal", 10) == 0
    said = capsys.readouterr().out
    assert "Recommended: pings */10 9-16 * * *: the cheapest that lets at most 10 % of the requests wait" in said
    assert 'Write --schedule: "*/10 9-16 * * *" into functions/tabular/warmup.yaml.' in said
    assert "Simulated from 24 requests in 1 days, hours in UTC" in said
    assert "as measured on a test's machine" in said


def test_machines_are_told_every_plan(trace: Path, measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned("tabular", "--trace", trace, "--measured", measured, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    nothing, *_, last = told["choices"]
    assert (nothing["plan"], nothing["cold_share"], nothing["starts"]) == ("nothing", 1.0, 24)
    assert (last["plan"], last["min_instances"], last["cold_share"]) == ("--min-instances=1", 1, 0)
    assert told["recommended"] in told["choices"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "--trace is of one function: name it", id="no family"),
        pytest.param(["tabular", "gateway"], "--trace is of one function: name it", id="two families"),
        pytest.param(["tabulated"], 'There is no family "tabulated".', id="unknown family"),
        pytest.param(["gateway"], "has no measurement of gateway. It has: tabular.", id="not measured"),
        pytest.param(["tabular", "--goal", "101"], "--goal is 101. Give a percentage from 0 to 100.", id="goal"),
    ],
)
def test_a_mistake_is_told(
    arguments: list[str], told: str, trace: Path, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(*arguments, "--trace", trace, "--measured", measured) == 1
    assert told in capsys.readouterr().err


def test_a_trace_that_is_none_is_told(tmp_path: Path, measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned("tabular", "--trace", tmp_path / "none.txt", "--measured", measured) == 1
    assert "none.txt cannot be read" in capsys.readouterr().err


def test_a_trace_without_a_plan_is_told(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup", "tabular", "--trace", str(trace)]) == 1
    assert "--trace is what a plan is made of. Give --plan too." in capsys.readouterr().err
