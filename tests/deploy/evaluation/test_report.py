"""What people read: which rows changed, in few words, and nothing of a row that a browser would run."""

import pytest

from deploy.evaluation import report
from deploy.evaluation.kinds.entities import Entities, Entity
from deploy.evaluation.labelled import Labels
from deploy.evaluation.limits import Verdict
from deploy.evaluation.result import Changed, Result, Side

TEXT = "Anna <script>lives</script> in Köln, it got better"
ANNA = {"entity_group": "PER", "score": 0.9, "word": "Anna", "start": 0, "end": 4}
VERDICTS = [Verdict("--max-drop entity_f1=0.01: 1.0000 before, 0.5000 now", False)]


@pytest.fixture
def labels() -> Labels:
    return Labels("entities", Entities(), {"rows.jsonl:1": frozenset({Entity(0, 4, "PER")})})


@pytest.fixture
def result() -> Result:
    """The row was right, and is not answered any more; another one is answered now."""
    scores = dict.fromkeys(("entity_f1", "entity_precision", "entity_recall", "entity_f1_macro"), 1.0)
    row = {"data": TEXT, "entities": [ANNA]}
    changed = [Changed("rows.jsonl:1", row, {"prediction": [ANNA]}, {"error": "data is too long"}, "worse", 0.0)]
    now = Side("bbbbbbbbbbbb", {"rows.jsonl:2": frozenset()}, {"rows.jsonl:1": "data is too long"}, scores)
    before = Side("aaaaaaaaaaaa", {"rows.jsonl:1": frozenset()}, {}, scores)
    return Result(now, before, changed, ({}, {}), 0)


def test_a_terminal_is_told_what_changed_in_few_words(labels: Labels, result: Result) -> None:
    told = report.text("ner", labels, result, VERDICTS).splitlines()
    assert told[0] == "ner, revision bbbbbbbbbbbb, against revision aaaaaaaaaaaa: 2 rows"
    assert "1 row without an answer:" in told
    assert "1 row is answered otherwise: 1 worse. 1 row that only this one answers: compared are the others." in told
    [row] = [line for line in told if line.startswith("worse")]
    assert row.split("  ")[-3:] == ["PER Anna", "PER Anna", "no answer: data is too long"]
    assert told[-1] == "MISSED    --max-drop entity_f1=0.01: 1.0000 before, 0.5000 now"


def test_a_page_shows_rows_and_runs_none(labels: Labels, result: Result) -> None:
    page = report.page("ner", labels, result, VERDICTS)
    assert "<script" not in page
    assert "<td>Anna &lt;script&gt;lives&lt;/script&gt; in Köln, it got better" in page, "which is no verdict"
    assert '<td class="worse">worse' in page
    assert '<li class="missed">missed: --max-drop' in page
