"""Makes what all contenders serve, and the right answers: ``python -m tests.benchmarks.warm.models``.

The classifier has bert-base's dimensions and random weights. Its head is scaled so that its labels differ from text to
text, and only texts are asked whose label leads clearly: a trained model's do.
"""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill
import joblib
import torch
from sklearn.datasets import load_wine
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertTokenizer, pipeline

from deploy.samples import wine_model
from tests.benchmarks import words
from tests.benchmarks.warm import items, texts
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.peers.tutorial.wrapper import Wrapper
from tests.benchmarks.warm.places import CLASSIFIER, ITEMS, TUTORIAL_FILE, WINE_FILE

LABELS = ("earth", "water", "air", "fire")
POSITIONS = 512
#: How often the head's random weights are counted: their logits then differ by 0.15 from text to text.
_SCALE = 4.0
#: How much more probable the right label is than the next.
_LEAD = 0.02
_TRIED = 8
WINES, TEXTS, MIXED_TEXTS = 60, 24, 72
NOTHING = "Anna Schmidt moved from Berlin to Paris, and now works for the United Nations."


def main() -> None:
    if not CLASSIFIER.exists():
        _classifier(CLASSIFIER)
    if not TUTORIAL_FILE.exists():
        _whole(TUTORIAL_FILE, Wrapper(pipeline("text-classification", model=str(CLASSIFIER))))
    if not WINE_FILE.exists():
        _wine(WINE_FILE)
    if not ITEMS.exists():
        items.write(
            {
                texts.FIXED: _texts(texts.FIXED, TEXTS),
                texts.MIXED: _texts(texts.MIXED, MIXED_TEXTS),
                "wine": _wines(),
                "nothing": [Item(NOTHING)],
            }
        )


def _classifier(folder: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=words.SIZE,
        max_position_embeddings=POSITIONS,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    model = BertForSequenceClassification(config).eval()
    tokenizer = BertTokenizer(vocab=words.vocabulary(), model_max_length=POSITIONS)
    with torch.inference_mode():
        read = tokenizer(texts.candidates(texts.FIXED, 8), return_tensors="pt")
        pooled = model.bert(**read).pooler_output.mean(0)
        weight = model.classifier.weight * _SCALE
    model.classifier.weight = torch.nn.Parameter(weight.clone())
    model.classifier.bias = torch.nn.Parameter(-(weight @ pooled).clone())
    staging = folder.with_name(f".{folder.name}")
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    staging.rename(folder)


def _texts(lengths: str, count: int) -> list[Item]:
    found = list(itertools.islice(_clear(lengths, count * _TRIED), count))
    if len(found) < count:
        raise ValueError(f"Only {len(found)} texts of {lengths} have a clear label, and {count} are needed.")
    return found


def _clear(lengths: str, count: int) -> Iterator[Item]:
    """Texts whose label leads, with torch's answer in full precision, each read alone."""
    tokenizer = AutoTokenizer.from_pretrained(CLASSIFIER)
    model = BertForSequenceClassification.from_pretrained(CLASSIFIER).eval()
    for text in texts.candidates(lengths, count):
        with torch.inference_mode():
            scores = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        best, next_best = scores.topk(2).values.tolist()
        if best - next_best >= _LEAD:
            yield Item(text, LABELS[int(scores.argmax())], best)


def _wine(file: Path) -> None:
    staging = file.with_name(".wine")
    staging.mkdir(exist_ok=True)
    wine_model.train(staging, progress=False)
    (staging / "model.joblib").rename(file)
    staging.rmdir()


def _wines() -> list[Item]:
    estimator, rows = joblib.load(WINE_FILE), load_wine(as_frame=True).data.sample(WINES, random_state=0)
    predicted = zip(rows.to_numpy().tolist(), estimator.predict_proba(rows).tolist(), strict=True)
    return [Item(row, str(estimator.classes_[scores.index(max(scores))]), max(scores)) for row, scores in predicted]


def _whole(file: Path, wrapper: Any) -> None:
    staging = file.with_suffix(".part")
    staging.write_bytes(dill.dumps(wrapper))
    staging.rename(file)


if __name__ == "__main__":
    main()
