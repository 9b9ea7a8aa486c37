"""The report: everything that is told, and nothing from anywhere else."""

import re
from collections import Counter
from html.parser import HTMLParser

from deploy.batch.journal import SECONDS, Entry
from deploy.batch.report import page
from deploy.batch.summary import Summary


def summary(entry: Entry) -> Summary:
    return Summary("tabular/wine", "abcdef012345", "in/*.csv", "out", entry, 3, 1, 12.5)


def entry() -> Entry:
    found = Entry(
        rows=9, failed=1, errors=Counter(invalid_json=1), examples={"invalid_json": "<script>alert(1)</script>"}
    )
    found.labels.update({"red & white": 6, "rosé": 3})
    found.latency[SECONDS.index(0.01)] = 9
    return found


def test_it_tells_counts_reasons_labels_and_latency() -> None:
    html = page(summary(entry()))
    for text in (
        "tabular/wine",
        "abcdef012345",
        "invalid_json",
        "red &amp; white",
        "rosé",
        "≤ 0.01",
        "3, 1 of them by",
    ):
        assert text in html
    assert "&lt;script&gt;alert(1)" in html


def test_it_needs_nothing_from_anywhere() -> None:
    html = page(summary(entry()))
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", html)


def test_it_is_well_formed() -> None:
    class Balanced(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balanced()
    parser.feed(page(summary(entry())))
    assert parser.open == []


def test_a_job_without_rows_says_so() -> None:
    html = page(summary(Entry()))
    for text in ("No row is in the dead letters.", "The predictions have no labels.", "No row has a prediction."):
        assert text in html
