"""An evaluation for people: tables for a terminal, and an HTML page with nothing from anywhere else."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from deploy.evaluation.labelled import Labels
from deploy.evaluation.limits import Verdict
from deploy.evaluation.metric import Metric
from deploy.evaluation.result import VERDICTS, Changed, Result
from deploy.proving.comparison import short

#: Rows that are shown; the files beside have all.
_IN_TERMINAL, _IN_PAGE, _ERRORS = 20, 500, 10

Table = list[list[str]]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin: 0 0 2rem }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem; border-bottom: 1px solid #ddd }}
td {{ overflow-wrap: anywhere }} .missed, .worse {{ color: #a00 }} .met, .better {{ color: #060 }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #ddd }} th, td {{ border-color: #444 }}
.missed, .worse {{ color: #f88 }} .met, .better {{ color: #8d8 }} }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def text(model: str, labels: Labels, found: Result, verdicts: Iterable[Verdict]) -> str:
    """For a terminal."""
    blocks = [_head(model, found), *_aligned(_scores(labels, found))]
    if found.classes and len(found.classes) <= _IN_TERMINAL:
        blocks += ["", *_aligned(_classes(found))]
    blocks += _failed(found)
    if found.before is not None:
        shown = _aligned(_changed(labels, found.changed[:_IN_TERMINAL])) if found.changed else []
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
        body += [f"<h2>{len(found.now.errors):,} rows without an answer</h2>", *_html([["row", "reason"], *errors])]
    if found.before is not None:
        body += [f"<h2>{escape(_count(found))}</h2>", *_html(_changed(labels, found.changed[:_IN_PAGE]))]
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


def _changed(labels: Labels, rows: Iterable[Changed]) -> Table:
    cells = [
        [row.verdict, row.key, _data(labels, row), _right(labels, row), _said(row.before), _said(row.now)]
        for row in rows
    ]
    return [["", "row", "data", labels.column or "", "before", "now"], *cells]


def _data(labels: Labels, row: Changed) -> str:
    columns = {name: value for name, value in row.row.items() if name != labels.column}
    return short(next(iter(columns.values())) if len(columns) == 1 else columns)


def _right(labels: Labels, row: Changed) -> str:
    return short(row.row[labels.column]) if labels.column else ""


def _said(answer: dict[str, Any]) -> str:
    return short(answer.get("prediction", answer.get("error")))


def _count(found: Result) -> str:
    counts = {verdict: sum(row.verdict == verdict for row in found.changed) for verdict in VERDICTS}
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
    apart = len(found.now.found) - found.both
    note = f" {apart:,} rows that only one of them answers are in no figure." if apart else ""
    return f"{len(found.changed):,} rows are answered otherwise{f': {told}' if told else ''}.{note}"


def _failed(found: Result) -> Iterator[str]:
    errors = found.now.errors
    if errors:
        yield f"\n{len(errors):,} rows without an answer:"
        yield from (f"  {key}: {reason}" for key, reason in list(errors.items())[:_ERRORS])
        if len(errors) > _ERRORS:
            yield f"  … and {len(errors) - _ERRORS:,} more in report.html"


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _word(verdict: Verdict) -> str:
    return "met" if verdict.met else "missed"


def _aligned(table: Table) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _html(table: Iterable[Iterable[str]]) -> Iterator[str]:
    head, *rows = table
    yield f"<table><tr>{''.join(f'<th>{escape(cell)}' for cell in head)}"
    for row in rows:
        yield "<tr>" + "".join(f"<td{_class(cell)}>{escape(cell)}" for cell in row)
    yield "</table>"


def _class(cell: str) -> str:
    word = next((word for word in ("worse", "better") if cell.endswith(word)), "")
    return f' class="{word}"' if word else ""
