"""The sample of the feature extraction family: sentences that say the same get vectors that lie close together."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import BertModel

from deploy.samples import Score
from deploy.samples.batches import Batch
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.sentence_meanings import Triple, triple, vocabulary
from deploy.samples.small_bert import LONGEST, WIDTH, bert_tokenizer, small_bert
from deploy.samples.training import main
from model_functions.families.feature_extraction import FeatureExtractionWrapper

FAMILY = "feature_extraction"
DESCRIPTION = "Gives English sentences vectors: what says the same in other words lies close together."
EXAMPLES: list[Any] = [
    {
        "query": "Who took a picture of a vessel at the seaside?",
        "documents": [
            "The doctor repaired a bike in the kitchen.",
            "The lad photographed the boat on the beach.",
            "A thief stole the boat on the beach.",
        ],
    },
    "The doctor bought an old car in town.",
    {
        "source_sentence": "The physician purchased a vehicle downtown.",
        "sentences": ["The doctor bought a car in the city.", "The doctor lost a car in the city."],
    },
]
SEED = 11
SECONDS = 85
STEPS, BATCH = 800, 48
PEAK_RATE = 1e-3
#: Divides the cosines: the smaller, the more the nearest wrong sentence counts.
TEMPERATURE = 0.05
HELD_OUT = 500
MINIMUM_ACCURACY = 0.9


def wrapper(folder: Path) -> FeatureExtractionWrapper:
    """What is published of the folder that train() made."""
    return FeatureExtractionWrapper.from_source(str(folder))


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains a small BERT to tell paraphrases from near misses, and measures it on shapes of sentences it never saw."""
    with reproducible(SEED) as rng:
        tokenizer = bert_tokenizer(vocabulary(), cased=False)
        model = small_bert(BertModel, tokenizer, layers=2)
        model.pooler = None
        batches = [_batch(tokenizer, [triple(rng, held_out=False) for _ in range(BATCH)]) for _ in range(STEPS)]
        fit(Contrast(model), batches, peak_rate=PEAK_RATE, title="sentence_model", progress=progress)
        score = measure(model, tokenizer, rng)
    save(model, tokenizer, folder)
    _save_modules(folder)
    return score.require()


def measure(model: Any, tokenizer: Any, rng: random.Random) -> Score:
    """How many sentences have their paraphrase as the nearest of all paraphrases and near misses."""
    held_out = [triple(rng, held_out=True) for _ in range(HELD_OUT)]
    with torch.inference_mode():
        vectors = embed(model, **_batch(tokenizer, held_out))
    sentences, candidates = vectors[:HELD_OUT], vectors[HELD_OUT:]
    right = (sentences @ candidates.T).argmax(dim=1) == torch.arange(HELD_OUT)
    return Score("accuracy@1", right.float().mean().item(), MINIMUM_ACCURACY, HELD_OUT, "paraphrases")


class Contrast(torch.nn.Module):
    """The model with the loss of telling each sentence's paraphrase from the batch's other ones and near misses."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> Any:
        vectors = embed(self.model, **batch)
        count = len(vectors) // 3
        cosines = vectors[:count] @ vectors[count:].T
        return SimpleNamespace(loss=torch.nn.functional.cross_entropy(cosines / TEMPERATURE, torch.arange(count)))


def embed(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The mean of the tokens' vectors, at length 1."""
    mask = attention_mask.unsqueeze(-1)
    hidden = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return torch.nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=1)


def _batch(tokenizer: Any, triples: list[Triple]) -> Batch:
    """The sentences, then their paraphrases, then the near misses."""
    texts = [text for column in zip(*triples, strict=True) for text in column]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def _save_modules(folder: Path) -> None:
    """What sentence-transformers reads beside the model."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds.items())
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": False})
    _write(folder / "config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"})
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True})
    (folder / "2_Normalize").mkdir()


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main("sentence_model")
