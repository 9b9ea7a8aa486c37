"""The table, the plot and the comparison: what they make of figures that are known."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from deploy.cloud.costs import Prices
from deploy.cloud.scaling.measured import Service
from tests.benchmarks.scale import simulating
from tests.benchmarks.scale.__main__ import draw
from tests.benchmarks.scale.against import SCENES, Compared
from tests.benchmarks.scale.emulated import Asked
from tests.benchmarks.scale.plot import Panel, svg

MODEL = Service(cold=(1.0, 1.2, 1.5), warm=(0.03, 0.032, 0.035), work=0.03)


def test_the_table_has_a_row_for_each_rate_and_plan(tmp_path: Path) -> None:
    done = simulating.simulate("tabular", MODEL, (1 / 3600, 1 / 60), seed=1)
    lines = simulating.shown(done).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [simulating.spelled(one.rate) for one in done for _ in one.found]
    assert sum(line.endswith("*") for line in lines) == 2
    plans = [choice.plan.name for choice in done[0].found]
    assert plans[:2] == ["nothing", "pings */10 * * * *"]
    assert plans[-1] == "--min-instances=1"
    assert simulating.markdown(done)[2].startswith("| 1/h | nothing | ")
    draw("tabular", done, tmp_path / "scale.svg")
    assert "--min-instances" in (tmp_path / "scale.svg").read_text()
    assert Prices.read_file().read


@pytest.mark.parametrize(
    ("rate", "told"), [(1 / 3600, "1/h"), (1 / 60, "1/min"), (0.5, "30/min"), (1.0, "1/s"), (1e5, "100,000/s")], ids=str
)
def test_a_rate_is_written_in_a_unit_that_fits(rate: float, told: str) -> None:
    assert simulating.spelled(rate) == told


def test_the_plot_is_xml_with_a_line_for_each_plan() -> None:
    lines = {"a < b": [(1.0, 0.01), (1000.0, 5.0)], "c": [(1.0, 0.0), (10.0, 3.0)]}
    root = ElementTree.fromstring(svg("p99 & more", "rate", [Panel("seconds", lines), Panel("none", {})]))
    name = "{http://www.w3.org/2000/svg}"
    words = [element.text for element in root.iter(f"{name}text")]
    assert {"p99 & more", "seconds", "a < b", "0.01", "1,000"} <= set(words)
    drawn = [element.get("points", "").split() for element in root.iter(f"{name}polyline")]
    # What is 0 has no logarithm.
    assert [len(points) for points in drawn] == [2, 1]
    heights = [float(point.partition(",")[2]) for point in drawn[0]]
    assert heights[0] > heights[1]


def test_a_scene_s_requests_are_the_same_for_the_same_seed() -> None:
    for scene in SCENES:
        times = scene.times(3)
        assert np.array_equal(times, scene.times(3))
        assert np.all(np.diff(times) >= 0)
        assert len(times) % scene.size == 0
        assert 0 <= times[0] <= times[-1] < scene.seconds + 0.05


def test_what_is_compared_is_held_against_a_fifth() -> None:
    compared = Compared(SCENES[0], 40, measured=(10, 0.1, 2.0), predicted=(11, 0.5, 2.5))
    starts, p99 = compared.targets()
    assert (starts.name, starts.verdict) == ("seldom: most find no instance: starts, predicted against measured", "met")
    assert [starts.value, p99.value] == pytest.approx([0.1, 0.25])
    assert p99.verdict == "missed"
    assert compared.row()[-1] == "+25%"


def test_a_question_is_a_whole_request() -> None:
    request = Asked("text_classification", "sentiment", b'{"data": 1}').request
    assert request.startswith(b"POST /text-classification/predict HTTP/1.1\r\n")
    assert request.endswith(b'Content-Length: 11\r\n\r\n{"data": 1}')
