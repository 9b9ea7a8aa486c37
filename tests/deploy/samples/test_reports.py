"""Reports: a summary that holds the report's own facts; nothing shared between training and measuring."""

import random
import re

import pytest

from deploy.samples.grammar import SLOT
from deploy.samples.reports import HELD_OUT, facts_of, make_report, orders, report_kinds
from deploy.samples.summarize_data_model import as_pairs, build_tokenizer
from deploy.samples.word_lists import sections


@pytest.mark.parametrize("held_out", [False, True])
def test_what_a_summary_tells_stands_in_the_report(held_out: bool) -> None:
    rng = random.Random(1)
    for _ in range(300):
        report = make_report(rng, held_out=held_out)
        assert "{" not in report.text + report.summary
        assert set(re.findall(r"\d+", report.summary)) <= set(re.findall(r"\d+", report.text))


@pytest.mark.parametrize("kind", report_kinds())
def test_a_kind_of_report_is_complete(kind: str) -> None:
    wordings = sections(kind)
    told = {slot for fact in facts_of(kind) for slot in SLOT.findall(wordings[fact][0])}
    assert set(SLOT.findall(wordings["summary"][0])) <= told
    for fact in facts_of(kind):
        for line in (*wordings[fact], *wordings[fact + HELD_OUT]):
            assert set(SLOT.findall(line)) == set(SLOT.findall(wordings[fact][0])), line
        assert not set(wordings[fact]) & set(wordings[fact + HELD_OUT])


@pytest.mark.parametrize("facts", [3, 4])
def test_no_order_is_on_both_sides(facts: int) -> None:
    trained, held_out = orders(facts, held_out=False), orders(facts, held_out=True)
    assert trained
    assert held_out
    assert not set(trained) & set(held_out)


def test_decoding_gives_the_text_back() -> None:
    rng = random.Random(1)
    reports = [make_report(rng, held_out=False) for _ in range(500)]
    tokenizer = build_tokenizer(reports)
    for _, summary in as_pairs(reports[:100]):
        assert tokenizer.decode(tokenizer(summary)["input_ids"], skip_special_tokens=True) == summary
