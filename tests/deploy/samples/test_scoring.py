"""Scores: what is counted as right, how a score reads, and that a low one is refused."""

import pytest

from deploy.samples import Score, ScoreTooLow, load_sample, sample_names
from deploy.samples.scoring import rouge_l


def test_rouge_counts_words_in_order() -> None:
    assert rouge_l("a b c d", "a b c d") == 1.0
    assert rouge_l("a b c d", "a x c") == pytest.approx(2 * 2 / 7)
    assert rouge_l("a", "") == 0.0


def test_a_score_reads_well_and_a_low_one_is_refused() -> None:
    score = Score("entity F1", 0.957, 0.90, 1200, "sentences")
    assert str(score) == "entity F1 0.957 on 1,200 held-out sentences (minimum 0.90)"
    assert score.require() is score
    with pytest.raises(ScoreTooLow, match="too low to serve"):
        Score("entity F1", 0.85, 0.90, 1200).require()


def test_samples_are_found_by_their_names() -> None:
    assert {"digits_tensorflow", "entity_match_model", "story_model", "wine_model"} < set(sample_names())
    assert "optimisation" not in sample_names()
    with pytest.raises(LookupError, match='No sample is called "tea_model"'):
        load_sample("tea_model")


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_says_what_it_is(name: str) -> None:
    sample = load_sample(name)
    assert sample.FAMILY
    assert sample.DESCRIPTION.endswith(".")
    assert 3 <= len(sample.EXAMPLES) <= 5
