"""The sample of the token classification family: finds people, organisations and places in English sentences."""

import random
from pathlib import Path
from typing import Any

from transformers import BertForTokenClassification

from deploy.evaluation.kinds.entities import entity_f1
from deploy.samples import Score
from deploy.samples.batches import bucketed
from deploy.samples.entity_sentences import held_out_grammar, training_grammar
from deploy.samples.entity_tagging import TAGS, encode, find_entities, tagging_tokenizer
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.small_bert import finer, move_along, small_bert
from deploy.samples.training import main
from model_functions.families.token_classification import TokenClassificationWrapper

FAMILY = "token_classification"
DESCRIPTION = "Finds the names of people, organisations and places in English sentences."
EXAMPLES: list[str] = [
    "Barack Obama met Angela Merkel in Berlin before Microsoft opened an office in Paris.",
    "The United Nations sent Maria Lopez to Kenya last week.",
    "Yesterday Tom flew from Rome to New York to meet the head of Nordwind Logistics.",
    "London's mayor Sadiq Khan praised the University of Leeds.",
]
SEEDS = (5, 4, 6)
SECONDS = 110
SENTENCES = 86_000
BATCH = 32
HELD_OUT = 1_200
PEAK_RATE, MATRIX_RATE = 1.5e-3, 2e-2
MINIMUM_F1 = 0.9
#: The part of the sentences in which the model sees known words in pieces, as unknown words always are.
IN_PIECES = 0.1


def wrapper(folder: Path) -> TokenClassificationWrapper:
    """What is published of the folder that train() made."""
    return TokenClassificationWrapper.from_source(str(folder), defaults={"aggregation_strategy": "max"})


def train(folder: Path, *, seed: int = SEEDS[0], progress: bool = True) -> Score:
    """Trains a small BERT on made-up sentences and measures it on names and sentence shapes it never saw."""
    with reproducible(seed) as rng:
        grammar = training_grammar()
        sentences = [grammar.sentence("text", rng) for _ in range(SENTENCES)]
        tokenizer = tagging_tokenizer()
        model = small_bert(BertForTokenClassification, tokenizer, TAGS, dropout=0.0)
        in_pieces = int(SENTENCES * IN_PIECES)
        examples = encode(finer(tokenizer), sentences[:in_pieces]) + encode(tokenizer, sentences[in_pieces:])
        batches = bucketed(examples, size=BATCH, pad=tokenizer.pad_token_id, rng=rng)
        move_along(batches[::10], rng)
        fit(
            model,
            batches,
            peak_rate=PEAK_RATE,
            matrix_rate=MATRIX_RATE,
            title="entity_match_model",
            progress=progress,
        )
        score = measure(model, tokenizer, rng)
    save(model, tokenizer, folder)
    return score.require()


def measure(model: Any, tokenizer: Any, rng: random.Random) -> Score:
    """Entity F1 on held-out sentences."""
    grammar = held_out_grammar()
    sentences = [grammar.sentence("text", rng) for _ in range(HELD_OUT)]
    found = find_entities(model, tokenizer, [sentence.text for sentence in sentences])
    f1 = entity_f1([set(sentence.entities) for sentence in sentences], found)
    return Score("entity F1", f1, MINIMUM_F1, HELD_OUT, "sentences")


if __name__ == "__main__":
    main("entity_match_model")
