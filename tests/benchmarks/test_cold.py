import json
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks import words
from tests.benchmarks.cold import server_timing
from tests.benchmarks.cold.answers import agreement
from tests.benchmarks.cold.bars import Bar, svg
from tests.benchmarks.cold.limits import Constants, least_seconds
from tests.benchmarks.cold.targets import Findings, targets
from tests.benchmarks.figures import median, medians_by_phase, ratio, shown, table
from tests.benchmarks.targets import Target

NOTHING = Constants(
    boot=0.2, round_trip=0, stored=0, rate=1, receiving_cpu=0, import_cpu=0, import_wall=0, wire=0.01, first=0.1
)
MEASURED = {
    "boot": 0.2,
    "round_trip": 0.1,
    "stored": 1000,
    "rate": 500.0,
    "receiving_cpu": 0.001,
    "import_cpu": 3.0,
    "import_wall": 1.0,
    "wire": 0.01,
    "first": 0.1,
}


def test_the_limit_of_nothing_is_what_nobody_can_leave_out() -> None:
    assert least_seconds(NOTHING, cores=2) == pytest.approx(0.31)


@pytest.mark.parametrize(
    ("changed", "cores", "slowest"),
    [
        ({}, 2, 2.1),  # the network: 0.1 + 1000 / 500
        ({}, 1, 4.0),  # the processor: 3 + 1
        ({"import_wall": 2.5}, 2, 2.5),
    ],
)
def test_the_slowest_resource_makes_the_limit(changed: dict[str, float], cores: int, slowest: float) -> None:
    assert least_seconds(Constants(**MEASURED | changed), cores) == pytest.approx(0.31 + slowest)  # type: ignore[arg-type]


def test_server_timing_is_read_with_whatever_phases_it_has() -> None:
    header = 'boot;dur=12.5, new-phase;desc="x"; dur=3, load;dur=4.25, total;dur=19.8'
    assert server_timing.parsed("download;dur=12.3, load;dur=4.5") == {"download": 12.3, "load": 4.5}
    assert server_timing.parsed(header)["load"] == 4.25
    assert "total" not in server_timing.parsed(header)
    assert server_timing.parsed("") == {}


def test_answers_are_compared_in_whatever_envelope() -> None:
    found = [{"entity_group": "PER", "start": 0, "end": 4, "score": 0.5}]
    plain, wrapped = json.dumps(found), json.dumps({"outputs": [{"data": [json.dumps(found)]}]})
    other = json.dumps({"body": [*found, {"entity_group": "LOC", "start": 9, "end": 12}]})
    assert agreement(plain, wrapped) == 1.0
    assert agreement(plain, other) == 0.5
    assert agreement("ready", "{}") is None


def test_medians_and_ratios_of_what_was_not_measured_are_nothing() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([]) is None
    assert ratio(1.0, 4.0) == 0.25
    assert ratio(None, 4.0) is ratio(1.0, None) is ratio(1.0, 0.0) is None
    assert shown(None, " s") == "–"


def test_a_phase_that_a_run_lacks_took_no_time_in_it() -> None:
    assert medians_by_phase([{"load": 1.0}, {"load": 3.0, "wait": 4.0}]) == {"load": 2.0, "wait": 2.0}


def test_a_table_has_columns() -> None:
    assert table(("name", "s"), [("a", "1.00"), ("longer", "10.00")]).splitlines() == [
        "name        s",
        "a        1.00",
        "longer  10.00",
    ]


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("", 0.1, 0.2), "met"),
        (Target("", 0.3, 0.2), "missed"),
        (Target("", 0.7, 0.7, at_least=True), "met"),
        (Target("", 0.6, 0.7, at_least=True), "missed"),
        (Target("", None, 0.7), "not measured"),
    ],
)
def test_a_target_is_met_missed_or_not_measured(target: Target, verdict: str) -> None:
    assert target.verdict == verdict


def test_the_targets_are_those_of_the_findings() -> None:
    found = Findings(
        fast=0.9,
        torch=4.0,
        tutorial=6.0,
        peers=[7.0, None, 5.0],
        fast_peak=400.0,
        torch_peak=850.0,
        torch_runtime=400.0,
        tutorial_peak=1000.0,
        weights=450.0,
        efficiency={"fast lane": 0.8},
        verification={"fast lane": 0.2},
        stampedes={"fast lane": (1.0, 1, 100), "torch lane": None},
        growth={"fast lane": (3.9, 4.0)},
    )
    values: dict[str, Any] = {target.name: (target.value, target.verdict) for target in targets(found)}
    assert values["fast lane ÷ tutorial"] == (pytest.approx(0.15), "met")
    assert values["fast lane ÷ best peer"] == (pytest.approx(0.18), "met")
    assert values["torch lane: (peak − runtime) ÷ weights"] == (pytest.approx(1.0), "met")
    assert values["fast lane: limit ÷ measured"] == (0.8, "met")
    assert values["fast lane: verification, CPU ÷ load"] == (0.2, "missed")
    assert values["fast lane, 100 first requests: answers"] == (100, "met")
    assert values["torch lane, 100 first requests: loads"] == (None, "not measured")
    assert values["fast lane: seconds ÷ seconds, for 3.90 × the weights"] == (4.0, "met")


def test_the_plot_is_xml_with_a_bar_for_each_part() -> None:
    plot = svg("a < b", [Bar("ours & fast", {"start": 0.2, "load": 0.3}), Bar("other", {"until 200": 2.0})])
    root = ElementTree.fromstring(plot)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "ours & fast", "0.50 s", "2.00 s", "until 200"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}title"))) == 3


def test_the_text_is_ninety_words_of_the_vocabulary() -> None:
    vocabulary = words.vocabulary()
    assert len(vocabulary) == words.SIZE
    written = words.text().split()
    assert len(set(written)) == len(written) == words.TOKENS - 2
    assert set(written) <= vocabulary.keys()
