"""The job's report: one HTML file, which shows what it has to say without anything from anywhere else."""

from collections.abc import Iterable, Sequence
from html import escape

from deploy.batch.journal import SECONDS
from deploy.batch.summary import Summary

#: Labels that are shown, the most frequent first.
_MOST = 40

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600; white-space: nowrap; vertical-align: top }
th, td { padding: .2rem .8rem .2rem 0; overflow-wrap: anywhere }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.bar { width: 50% }
td.bar div { background: #3b6fb6; height: .9rem; min-width: 1px }
"""


def page(told: Summary) -> str:
    """The whole file."""
    counts = told.counts
    title = f"Batch job: {told.model}"
    sections = [
        _facts(told),
        _section("Dead letters by reason", _reasons(told), "No row is in the dead letters."),
        _section("Predicted labels", _bars(counts.labels.most_common(_MOST)), "The predictions have no labels."),
        _more(len(counts.labels) - _MOST, "labels"),
        _section("Seconds in the model, by row", _bars(_latency(counts.latency)), "No row has a prediction."),
        "<p>A row counts with the time that the model took for the batch in which it read the row.</p>",
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><main><h1>{escape(title)}</h1>\n" + "\n".join(filter(None, sections)) + "\n</main></body></html>\n"
    )


def _facts(told: Summary) -> str:
    counts = told.counts
    facts = {
        "revision": told.revision,
        "input": told.input,
        "output": told.output,
        "rows": f"{counts.all_rows:,}",
        "with a prediction": f"{counts.rows:,}",
        "in the dead letters": f"{counts.failed:,}",
        "parts": f"{told.parts:,}" + (f", {told.resumed:,} of them by earlier runs" if told.resumed else ""),
        "time of the last run": f"{told.seconds:,.1f} s",
        "time of all workers": f"{counts.seconds:,.1f} s",
    }
    return _table(f'<th scope="row">{escape(name)}</th><td>{escape(value)}</td>' for name, value in facts.items())


def _reasons(told: Summary) -> str:
    counts = told.counts
    return _table(
        f'<th scope="row">{escape(code)}</th><td class="number">{count:,}</td>'
        f"<td>{escape(counts.examples.get(code, ''))}</td>"
        for code, count in counts.errors.most_common()
    )


def _latency(counts: Sequence[int]) -> list[tuple[str, int]]:
    """Without the empty ends."""
    names = [f"≤ {bound:g}" for bound in SECONDS] + [f"> {SECONDS[-1]:g}"]
    full = [place for place, count in enumerate(counts) if count]
    return list(zip(names, counts, strict=True))[full[0] : full[-1] + 1] if full else []


def _bars(counted: Sequence[tuple[str, int]]) -> str:
    most = max((count for _, count in counted), default=0)
    return _table(
        f'<th scope="row">{escape(name)}</th><td class="number">{count:,}</td>'
        f'<td class="bar"><div style="width:{100 * count / most:.1f}%"></div></td>'
        for name, count in counted
    )


def _section(heading: str, table: str, nothing: str) -> str:
    return f"<h2>{escape(heading)}</h2>\n{table or f'<p>{escape(nothing)}</p>'}"


def _more(count: int, what: str) -> str:
    return f"<p>… and {count:,} more {what}.</p>" if count > 0 else ""


def _table(rows: Iterable[str]) -> str:
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n{body}\n</table>" if body else ""
