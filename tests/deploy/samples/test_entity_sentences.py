"""Entity sentences: names marked where they stand, labels on the right tokens, two sets of shapes."""

import random

import pytest

from deploy.samples.entity_sentences import LABELS, held_out_grammar, training_grammar
from deploy.samples.entity_tagging import TAGS, encode, tagging_tokenizer
from deploy.samples.grammar import Entity, Grammar, Sentence
from deploy.samples.small_bert import finer
from deploy.samples.word_lists import sections


@pytest.mark.parametrize("grammar", [training_grammar(), held_out_grammar()], ids=["training", "held out"])
def test_marked_names_are_whole_and_do_not_overlap(grammar: Grammar) -> None:
    rng = random.Random(1)
    for _ in range(500):
        sentence = grammar.sentence("text", rng)
        assert "{" not in sentence.text
        assert "  " not in sentence.text
        end = 0
        for entity in sentence.entities:
            assert end <= entity.start < entity.end <= len(sentence.text)
            assert entity.label in LABELS
            assert sentence.text[entity.start : entity.end].strip() == sentence.text[entity.start : entity.end]
            end = entity.end


def test_the_same_seed_makes_the_same_sentences() -> None:
    first, again = (training_grammar().sentence("text", random.Random(5)) for _ in range(2))
    assert first == again


def test_no_shape_is_on_both_sides() -> None:
    trained = {line for lines in sections("entity_sentences").values() for line in lines}
    assert not trained & set(sections("entity_sentences_held_out")["text"])


def test_the_first_token_of_a_name_begins_it_and_the_others_are_inside() -> None:
    text = "Ed works at AT&T."
    sentence = Sentence(text, (Entity(0, 2, "PER"), Entity(12, 16, "ORG")))
    (example,) = encode(tagging_tokenizer(), [sentence])
    tags = [TAGS[tag] for tag in example.labels[1:-1]]
    assert tags == ["B-PER", "O", "O", "B-ORG", "I-ORG", "I-ORG", "O"]
    assert example.labels[0] == example.labels[-1] == -100


def test_a_known_word_is_one_piece_and_an_unknown_one_several() -> None:
    tokenizer = tagging_tokenizer()
    assert tokenizer.tokenize("Berlin Yesterday") == ["Berlin", "Yesterday"]
    assert len(tokenizer.tokenize("Drailonbergen")) > 1
    assert len(finer(tokenizer).tokenize("Berlin")) > 1
    assert "[UNK]" not in tokenizer.tokenize("José’s café in Łódź")
