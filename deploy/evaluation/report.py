"""An evaluation for people: tables for a terminal, and an HTML page with nothing from anywhere else."""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from deploy import output
from deploy.batch.questions import NAMES
from deploy.evaluation.labelled import Labels
from deploy.evaluation.limits import Verdict
from deploy.evaluation.metric import Metric
from deploy.evaluation.result import VERDICTS, Changed, Result

#: Rows that are shown; the files beside have all.
_IN_TERMINAL, _IN_PAGE, _ERRORS = 20, 500, 10
#: Characters of a cell.
_CELL, _PAGE_CELL = 36, 400

Table = list[list[str]]

#: A cell that says which way it went.
_JUDGED = re.compile(r"(?:[+-][\d.]+ )?(worse|better)")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin: 0 0 2rem }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem; border-bottom: 1px solid #ddd }}
td {{ overflow-wrap: anywhere }} td.worse, td.better {{ white-space: nowrap }}
.missed, .worse {{ color: #a00 }} .met, .better {{ color: #060 }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #ddd }} th, td {{ border-color: #444 }}
.missed, .worse {{ color: #f88 }} .met, .better {{ color: #8d8 }} }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def text(model: str, labels: Labels, found: Result, verdicts: Iterable[Verdict]) -> str:
    """For a terminal."""
    blocks = [_head(model, found), *output.table(_scores(labels, found))]
    if found.classes and len(found.classes) <= _IN_TERMINAL:
        blocks += ["", *output.table(_classes(found))]
    blocks += _failed(found)
    if found.before is not None:
        shown = output.table(_changed(labels, found.changed[:_IN_TERMINAL], _CELL)) if found.changed else []
        more = len(found.changed) - _IN_TERMINAL
        blocks += ["", _count(found), *shown, *([f"  … and {more:,} more in changed.jsonl"] if more > 0 else [])]
    blocks += [f"note: {note}" for note in found.notes]
    blocks += ["", *(f"{'met   ' if verdict.met else 'MISSED'}    {verdict.text}" for verdict in verdicts)]
    return "\n".join(blocks)


def page(model: str, labels: Labels, found: Result, verdicts: Iterable[Verdict]) -> str:
    """For a browser."""
    body = [
        "<ul>",
        *(f'<li class="{_word(one)}">{_word(one)}: {escape(one.text)}' for one in verdicts),
        *(f"<li>{escape(note)}" for note in found.notes),
        "</ul>",
        *_html(_scores(labels, found)),
        *(_html(_classes(found)) if found.classes else ()),
    ]
    if found.now.errors:
        errors = list(found.now.errors.items())[:_IN_PAGE]
        body += [f"<h2>{_rows(len(found.now.errors))} without an answer</h2>", *_html([["row", "reason"], *errors])]
    if found.before is not None:
        body += [f"<h2>{escape(_count(found))}</h2>", *_html(_changed(labels, found.changed[:_IN_PAGE], _PAGE_CELL))]
    return _PAGE.format(title=escape(_head(model, found)), body="\n".join(body))


def _head(model: str, found: Result) -> str:
    against = "" if found.before is None else f", against revision {found.before.revision}"
    return f"{model}, revision {found.now.revision}{against}: {len(found.now.found) + len(found.now.errors):,} rows"


def _scores(labels: Labels, found: Result) -> Table:
    metrics = [metric for metric in labels.kind.metrics if metric.name in found.now.scores]
    if found.compared is None:
        rows = [[metric.name, _figure(found.now.scores[metric.name]), metric.means] for metric in metrics]
        return [["metric", "value", ""], *rows]
    before, now = found.compared
    rows = [
        [
            metric.name,
            _figure(before[metric.name]),
            _figure(now[metric.name]),
            _change(metric, before, now),
            metric.means,
        ]
        for metric in metrics
        if metric.name in before and metric.name in now
    ]
    return [["metric", "before", "now", "change", ""], *rows]


def _change(metric: Metric, before: dict[str, float], now: dict[str, float]) -> str:
    difference = now[metric.name] - before[metric.name]
    drop = metric.drop(before[metric.name], now[metric.name])
    word = " worse" if drop > 0 else " better" if drop < 0 else ""
    return f"{difference:+.4f}{word}"


def _classes(found: Result) -> Table:
    names = list(found.classes[0])
    return [names, *([_figure(row[name]) for name in names] for row in found.classes)]


def _changed(labels: Labels, rows: Iterable[Changed], width: int) -> Table:
    """Args: width: of a cell, at most."""
    cells = [[row.verdict, row.key, *(_brief(cell, width) for cell in _told(labels, row))] for row in rows]
    return [["", "row", "data", labels.column or "", "before", "now"], *cells]


def _told(labels: Labels, row: Changed) -> tuple[str, ...]:
    """What was asked, what is right, and what both answer."""
    columns = {name: value for name, value in row.row.items() if name != labels.column}
    data = next((columns[name] for name in NAMES if name in columns), columns)
    right = labels.kind.told(labels.expected[row.key], data)
    return (
        data if isinstance(data, str) else json.dumps(data, ensure_ascii=False),
        right,
        *(_said(labels, answer, data) for answer in (row.before, row.now)),
    )


def _said(labels: Labels, answer: dict[str, Any], data: Any) -> str:
    if "error" in answer:
        return f"no answer: {answer['error']}"
    return labels.kind.told(labels.kind.found(answer["prediction"]), data)


def _brief(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _count(found: Result) -> str:
    counts = {verdict: sum(row.verdict == verdict for row in found.changed) for verdict in VERDICTS}
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
    apart = len(found.now.found) - found.both
    note = f" {_rows(apart)} that only this one answers: compared are the others." if apart else ""
    are = "is" if len(found.changed) == 1 else "are"
    return f"{_rows(len(found.changed))} {are} answered otherwise{f': {told}' if told else ''}.{note}"


def _failed(found: Result) -> Iterator[str]:
    errors = found.now.errors
    if errors:
        yield f"\n{_rows(len(errors))} without an answer:"
        yield from (f"  {key}: {reason}" for key, reason in list(errors.items())[:_ERRORS])
        if len(errors) > _ERRORS:
            yield f"  … and {len(errors) - _ERRORS:,} more in report.html"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _word(verdict: Verdict) -> str:
    return "met" if verdict.met else "missed"


def _html(table: Iterable[Iterable[str]]) -> Iterator[str]:
    head, *rows = table
    yield f"<table><tr>{''.join(f'<th>{escape(cell)}' for cell in head)}"
    for row in rows:
        yield "<tr>" + "".join(f"<td{_class(cell)}>{escape(cell)}" for cell in row)
    yield "</table>"


def _class(cell: str) -> str:
    found = _JUDGED.fullmatch(cell)
    return f' class="{found[1]}"' if found else ""
