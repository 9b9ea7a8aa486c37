"""The file of measurements: the one in the tree can be used, and another one says what is wrong with it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud.scaling.measured import Measured, Service
from deploy.project import function_families

GOOD = {"cold_s": [1.0, 2.0], "warm_s": [0.01, 0.03], "work_s": 0.01}


def test_the_trees_own_was_measured() -> None:
    measured = Measured.read()
    assert set(measured.services) <= set(function_families())
    assert "the emulator" in measured.where
    for service in measured.services.values():
        assert len(service.cold) >= 10
        assert 0 < service.share <= 1
        assert service.mean_cold > service.mean_warm


def test_what_an_answer_takes_alone_is_its_work_and_its_way() -> None:
    service = Service((1.0, 2.0), (0.01, 0.03), 0.01)
    assert (service.mean_cold, service.mean_warm, service.share) == (1.5, 0.02, 0.5)
    # Under load it cannot take longer than alone; a measurement may say so by chance.
    assert Service((1.0,), (0.01,), 0.011).share == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{", "cannot be read: Expecting", id="no JSON"),
        pytest.param("[]", 'has no "families"', id="a list"),
        pytest.param('{"families": {}}', 'has no "families"', id="none"),
        pytest.param(json.dumps({"families": {"tabular": 5}}), '"cold_s" of tabular is None', id="no family"),
        *(
            pytest.param(json.dumps({"families": {"tabular": GOOD | {name: value}}}), told, id=f"{name} {value}")
            for name, value, told in (
                ("cold_s", [], '"cold_s" of tabular is []'),
                ("cold_s", [1, -1], '"cold_s" of tabular is [1, -1], and not seconds above 0.'),
                ("warm_s", ["fast"], "\"warm_s\" of tabular is ['fast']"),
                ("work_s", True, '"work_s" of tabular is True'),
                ("beside", -0.1, '"beside" of tabular is -0.1, and not 0 or more.'),
            )
        ),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "measured.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        Measured.read(file)
    assert "python -m tests.benchmarks.scale --measure" in str(caught.value)


def test_a_family_that_was_not_measured_is_told(tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    document: dict[str, Any] = {"families": {"tabular": GOOD}}
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"has no measurement of gateway. It has: tabular. Measure it: python -m"):
        Measured.read(file).of("gateway")
