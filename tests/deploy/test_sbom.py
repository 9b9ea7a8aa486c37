"""What a staged function says that it consists of."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy import sbom, stage
from deploy.project import function_families


def document(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "sbom.json").read_text())
    return read


@pytest.mark.parametrize("family", function_families())
def test_it_has_the_official_schema(family: str, workshop: Path) -> None:
    text = (stage.stage(family, build=workshop) / "sbom.json").read_text()
    error = JsonStrictValidator(SchemaVersion.from_version(sbom.SPEC)).validate_str(text)
    assert error is None, error


def test_the_validator_refuses_what_has_it_not(workshop: Path) -> None:
    wrong = document(stage.stage("gateway", build=workshop))
    wrong["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.from_version(sbom.SPEC)).validate_str(json.dumps(wrong)) is not None


def test_it_lists_what_the_staged_requirements_install(workshop: Path) -> None:
    folder = stage.stage("text_classification", build=workshop)
    lines = (folder / "requirements.txt").read_text().splitlines()
    installed = {line.removesuffix(" \\") for line in lines if line[0] not in "# "}
    assert {f"{one['name']}=={one['version']}" for one in document(folder)["components"]} == installed
    assert {"functions-framework==3.10.2", "torch==2.13.0", "sympy==1.14.0"} <= installed


def test_it_says_what_brings_what(workshop: Path) -> None:
    needs = {one["ref"]: one["dependsOn"] for one in document(stage.stage("gateway", build=workshop))["dependencies"]}
    assert any(package.startswith("pkg:pypi/functions-framework@") for package in needs["gateway"])
    assert not any(package.startswith("pkg:pypi/flask@") for package in needs["gateway"])
    [framework] = [ref for ref in needs if ref.startswith("pkg:pypi/functions-framework@")]
    assert any(package.startswith("pkg:pypi/flask@") for package in needs[framework])


def test_it_is_the_same_each_time_and_another_for_another_function(workshop: Path) -> None:
    first = (stage.stage("gateway", build=workshop) / "sbom.json").read_bytes()
    assert (stage.stage("gateway", build=workshop) / "sbom.json").read_bytes() == first
    other = document(stage.stage("tabular", build=workshop))
    assert other["serialNumber"] != json.loads(first)["serialNumber"]
