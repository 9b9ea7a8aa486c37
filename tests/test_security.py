"""What SECURITY.md promises is tested where it says so, and what it tells to type is there."""

import re
from pathlib import Path

from deploy.__main__ import VERBS
from deploy.sbom import SPEC
from tests.torture.part import PARTS

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text()
PROMISES = SECURITY.partition("## Promises")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of its tables, the heads included."""
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return [line for line in cells if set(line) != {"---"}]


def test_every_promise_names_the_tests_that_hold_us_to_it() -> None:
    _, *promises = rows(PROMISES)
    assert len(promises) >= 20
    for promise, tests in promises:
        assert re.findall(r"`(tests/[\w/]+\.py)`", tests), promise


def test_every_path_that_is_named_exists() -> None:
    paths = re.findall(r"`((?:tests|deploy|shared|functions|\.github)/[\w/.*]+)`", SECURITY)
    assert len(paths) >= 30
    for path in paths:
        assert list(ROOT.glob(path)), path


def test_what_is_named_as_a_test_tests_something() -> None:
    for path in set(re.findall(r"`(tests/[\w/]+\.py)`", PROMISES)):
        folder, name = Path(path).parent.as_posix(), Path(path).stem
        if name.startswith("test_"):
            assert "\ndef test_" in (ROOT / path).read_text(), path
        elif folder == "tests/torture":
            assert name in PARTS, f"{path} is no part of make torture"
        else:
            assert folder == "tests/bad_inputs", f"{path} tests nothing"


def test_every_threat_of_the_model_has_a_row() -> None:
    table = SECURITY.partition("## Threats")[2].partition("**What signing")[0]
    threats = [cells[0] for cells in rows(table) if re.fullmatch(r"T\d+", cells[0])]
    assert threats == [f"T{number}" for number in range(1, 21)]


def test_commands_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)", SECURITY):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for verb in re.findall(r"python -m deploy (\w+)", SECURITY):
        assert verb in VERBS
    assert f"CycloneDX {SPEC}" in SECURITY


def test_the_table_of_peers_is_of_the_rows_that_are_printed() -> None:
    measured = rows(SECURITY.partition("## Beside others")[2])
    assert [len(cells) for cells in measured] == [5] * len(measured)
    assert len(measured) > 10
    source = "".join(path.read_text() for path in (ROOT / "tests/torture/peers").glob("*.py"))
    for first, *_ in measured[2:]:
        for words in re.split(r"\d+", first.removeprefix("… ")):
            assert words.strip(" :") in source, first
