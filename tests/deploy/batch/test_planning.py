"""How a job begins, goes on, and keeps away from what is not its own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.batch import planning
from deploy.batch.files import Found, LocalFiles
from deploy.batch.job import Job
from deploy.batch.journal import Entry, Journal
from deploy.batch.pinned import PinnedModel
from deploy.batch.summary import Summary
from model_functions.artifact.signing import Trust
from model_functions.errors import Conflict, ManifestInvalid, ModelNotFound
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.tiny_models import COLUMNS

FILES = LocalFiles()


@pytest.fixture
def begun(job: Job) -> Job:
    """A job of five rows whose plan is written."""
    folder = Path(job.input)
    folder.mkdir()
    row = dict.fromkeys(COLUMNS, 0.5)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(5)))
    job = planning.with_inputs(job, inputs(job))
    planning.begin(FILES, job, inputs(job))
    return job


def inputs(job: Job) -> list[Found]:
    return planning.found_inputs(job.input, job.output)


def test_a_job_is_written_down_and_read_again(begun: Job) -> None:
    assert planning.begun(FILES, begun) == begun
    assert [part.rows for part in planning.read_parts(FILES, begun)] == [2, 2, 1]
    assert begun.model.trust[0].entry()["public_key"] not in Path(begun.plan).read_text()


def test_nothing_has_begun_in_an_empty_place(job: Job) -> None:
    assert planning.begun(FILES, job) is None


def test_a_job_goes_on_with_its_own_revision(begun: Job) -> None:
    moved = replace(begun, model=replace(begun.model, revision="0" * 12, digest="0" * 64))
    found = planning.begun(FILES, moved)
    assert found is not None
    assert found.model == begun.model


@pytest.mark.parametrize(
    "change", [{"parameters": {"method": "predict"}}, {"inputs": "x"}, {"rows": 3}, {"data": "a"}], ids=str
)
def test_another_job_is_not_gone_on_with(change: dict[str, object], begun: Job) -> None:
    with pytest.raises(
        Conflict, match=r"has another job: tabular/tiny_classifier for .* Choose another --output, or --again"
    ):
        planning.begun(FILES, replace(begun, **change))  # type: ignore[arg-type]


def test_files_of_something_else_are_left_alone(job: Job) -> None:
    Path(job.output).mkdir()
    (Path(job.output) / "thesis.txt").write_text("years of work")
    with pytest.raises(Conflict, match=r"has files of something else. Choose an empty --output."):
        planning.begun(FILES, job)


def test_a_plan_of_another_version_is_not_read(begun: Job) -> None:
    document = json.loads(Path(begun.plan).read_text())
    Path(begun.plan).write_text(json.dumps(document | {"version": 99}))
    with pytest.raises(Conflict, match=r"has a job of another version of this program. Choose another --output"):
        planning.begun(FILES, begun)


def test_again_removes_what_was_there(begun: Job) -> None:
    Journal(FILES, begun).write(planning.read_parts(FILES, begun)[0], Entry(rows=2))
    for name in ("part-000000.jsonl", "dead-letters/part-000001.jsonl", "report.html"):
        FILES.write(f"{begun.output}/{name}", b"old")
    planning.begin(FILES, begun, inputs(begun))
    assert planning.done(FILES, begun) == {}
    assert sorted(path.name for path in Path(begun.output).rglob("*") if path.is_file()) == ["job.json", "parts.jsonl"]


def test_a_job_that_is_finished_says_what_came_of_it(begun: Job) -> None:
    assert Summary.read(FILES, begun) is None
    told = Summary.of(begun, {0: Entry(rows=2), 1: Entry(rows=1, failed=2)}, 1, 2.0)
    told.write(FILES, begun)
    assert Summary.read(FILES, begun) == told
    assert "rows          5 in 2 parts, 1 of them before" in told.table()


def test_no_match_is_told() -> None:
    with pytest.raises(FileNotFoundError, match=r'No file matches "/nowhere/\*.csv". Quote the pattern'):
        planning.found_inputs("/nowhere/*.csv", "/out")


def test_the_output_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is the input. Choose another folder."):
        planning.found_inputs(str(tmp_path), f"{tmp_path}/")
    for name in ("rows.csv", "out/part-000000.jsonl"):
        FILES.write(f"{tmp_path}/{name}", b"")
    assert [one.name for one in planning.found_inputs(str(tmp_path), f"{tmp_path}/out")] == [f"{tmp_path}/rows.csv"]


def test_columns_without_data_are_refused_before_anything_is_written(job: Job, trust: Trust) -> None:
    tagger = PinnedModel.at(Repository(open_store(job.model.store), trust), "tiny_tagger")
    FILES.write(f"{job.input}/rows.jsonl", b'{"id": 1, "body": "x"}\n')
    with pytest.raises(ValueError, match="None of the columns is called data"):
        planning.begin(FILES, replace(job, model=tagger), inputs(job))
    assert not Path(job.output).exists()


def test_parameters_that_the_model_lacks_are_refused(begun: Job) -> None:
    with pytest.raises(ValueError, match=r"--set beams: tiny_classifier has no such parameter. There are: method."):
        planning.begin(FILES, replace(begun, parameters={"beams": 4}), inputs(begun))


def test_a_pinned_model_is_another_one_never(pinned: PinnedModel) -> None:
    with pytest.raises(ManifestInvalid, match="speaks of another revision"):
        replace(pinned, digest="0" * 64).load()
    with pytest.raises(ModelNotFound, match='has no revision "000000000000"'):
        replace(pinned, revision="0" * 12).load()
