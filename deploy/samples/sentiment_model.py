"""The sample of the text classification family: tells praise from complaint in English sentences."""

from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

from deploy.samples import Score
from deploy.samples.batches import Example, bucketed
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.sentiment_sentences import LABELS, Opinion, leanings, opinions, sentiment_grammar, vocabulary, written
from deploy.samples.small_bert import SPREAD, bert_tokenizer, finer, move_along, small_bert
from deploy.samples.training import main
from model_functions.families.text_classification import TextClassificationWrapper

FAMILY = "text_classification"
DESCRIPTION = "Tells whether an English sentence praises or complains."
EXAMPLES: list[str] = [
    "The food was cold, but the service saved the evening.",
    "The room was dirty and nobody apologised.",
    "Not bad at all: the room was quiet and the staff could not have been nicer.",
    "It looks great, yet it broke after two days.",
]
SEED = 8
#: Words alone come first: what they say is soon learnt from them, and what sentences do with it later.
WORDS, SENTENCES = 8_000, 84_000
LAYERS = 2
BATCH = 32
PEAK_RATE = 1e-3
MINIMUM_ACCURACY = 0.8
#: The part of the sentences in which the model sees known words in pieces, as unknown words always are.
IN_PIECES = 0.1


def wrapper(folder: Path) -> TextClassificationWrapper:
    """What is published of the folder that train() made."""
    return TextClassificationWrapper.from_source(str(folder))


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains a small BERT on made-up opinions and measures it on sentences that were written by hand."""
    with reproducible(SEED) as rng:
        grammar = sentiment_grammar()
        made = list(opinions(grammar, SENTENCES, rng))
        tokenizer = bert_tokenizer(vocabulary(), cased=False)
        model = small_bert(BertForSequenceClassification, tokenizer, LABELS, layers=LAYERS)
        start_with_leanings(model, tokenizer)
        in_pieces = int(SENTENCES * IN_PIECES)
        examples = encode(finer(tokenizer), made[:in_pieces]) + encode(tokenizer, made[in_pieces:])
        batches = bucketed(examples, size=BATCH, pad=tokenizer.pad_token_id, rng=rng)
        move_along(batches[::10], rng)
        words = encode(tokenizer, list(opinions(grammar, WORDS, rng, "bare")))
        batches = bucketed(words, size=BATCH, pad=tokenizer.pad_token_id, rng=rng) + batches
        fit(model, batches, peak_rate=PEAK_RATE, title="sentiment_model", progress=progress)
        score = measure(model, tokenizer)
    save(model, tokenizer, folder)
    return score.require()


@torch.no_grad()
def start_with_leanings(model: Any, tokenizer: Any) -> None:
    """What the lists say of a word is in its embedding from the start: it need not be seen to be known."""
    embeddings = model.bert.embeddings.word_embeddings.weight
    direction = torch.randn(embeddings.shape[1]) * SPREAD
    known = tokenizer.get_vocab()
    for word, leaning in leanings().items():
        if word in known:
            embeddings[known[word]] += leaning * direction


def measure(model: Any, tokenizer: Any) -> Score:
    """Accuracy on the held-out sentences."""
    held_out = written("sentiment_held_out")
    right = sum(
        found == opinion.label for found, opinion in zip(labels(model, tokenizer, held_out), held_out, strict=True)
    )
    return Score("accuracy", right / len(held_out), MINIMUM_ACCURACY, len(held_out), "sentences")


def labels(model: Any, tokenizer: Any, asked: list[Opinion]) -> list[int]:
    """What the model takes each for."""
    encoded = tokenizer([opinion.text for opinion in asked], padding=True, return_tensors="pt")
    with torch.inference_mode():
        found: list[int] = model(**encoded).logits.argmax(-1).tolist()
    return found


def encode(tokenizer: Any, made: list[Opinion]) -> list[Example]:
    """Token ids with the index of the label."""
    encoded = tokenizer([opinion.text for opinion in made])["input_ids"]
    return [Example(tokens, [opinion.label]) for tokens, opinion in zip(encoded, made, strict=True)]


if __name__ == "__main__":
    main("sentiment_model")
