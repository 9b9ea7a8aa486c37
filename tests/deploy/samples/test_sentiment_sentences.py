"""Opinions and meanings: labels that hold, and a held-out side that training has not seen."""

import random
import re

from deploy.samples.sentence_meanings import PARTS, triple
from deploy.samples.sentiment_sentences import LABELS, entries, leanings, opinions, sentiment_grammar, written
from deploy.samples.word_lists import sections


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+|\{\w+\}", text.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_the_held_out_sentences_are_many_and_of_both_labels() -> None:
    held_out = written("sentiment_held_out")
    assert len({opinion.text for opinion in held_out}) == len(held_out) >= 150
    counts = [sum(opinion.label == label for opinion in held_out) for label in range(len(LABELS))]
    assert min(counts) > 0.4 * len(held_out)


def test_no_held_out_sentence_is_in_the_templates_or_tuned_on() -> None:
    held_out = written("sentiment_held_out")
    assert not {opinion.text for opinion in held_out} & {opinion.text for opinion in written("sentiment_tuning")}
    files = ("sentiment_sentences", "sentiment_opinions", "sentiment_tuning")
    templates = [line for file in files for lines in sections(file).values() for line in lines]
    templates += [entry for kind in sections("sentiment_words") for entry in entries(kind)]
    known = {run for template in templates for run in runs(template, 5)}
    assert not [opinion.text for opinion in held_out if runs(opinion.text, 5) & known]


def test_every_template_is_filled_and_the_same_seed_makes_the_same() -> None:
    grammar = sentiment_grammar()
    made = list(opinions(grammar, 400, random.Random(1)))
    assert made == list(opinions(grammar, 400, random.Random(1)))
    assert not [opinion.text for opinion in made if "{" in opinion.text or "}" in opinion.text]
    assert {opinion.label for opinion in made} == {0, 1}


def test_a_template_of_one_side_is_turned_for_the_other() -> None:
    rules = sentiment_grammar().rules
    for slot in sections("sentiment_sentences"):
        if slot.startswith("one_"):
            assert slot not in rules
            assert slot.replace("one_", "good_") in rules
            assert slot.replace("one_", "bad_") in rules
    used = {part for rule in rules.values() for template in rule.templates for part in template[1::2]}
    assert not [slot for slot in used if slot.startswith(("one_", "other_"))]


def test_words_lean_as_the_lists_say_and_ours_win() -> None:
    found = leanings()
    assert [found[word] for word in ("delicious", "admirable", "filthy", "evildoer", "laughable")] == [1, 1, -1, -1, -1]
    assert not {"food", "not", "the"} & found.keys()


def test_a_paraphrase_is_another_sentence_and_a_near_miss_a_third() -> None:
    rng = random.Random(2)
    for held_out in (False, True):
        for _ in range(200):
            assert len(set(triple(rng, held_out=held_out))) == 3


def test_no_way_to_say_it_belongs_to_two_meanings() -> None:
    lists = sections("sentence_meanings")
    assert set(PARTS) - {"at"} < set(lists)
    for part in ("who", "deed", "what", "where", "when"):
        said = [way for line in lists[part] for way in line.split(", ")]
        assert len(said) == len(set(said)), part
    assert not set(lists["shapes"]) & set(lists["held_out_shapes"])
