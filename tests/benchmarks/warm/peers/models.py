"""The models as whoever uses one of these servers writes them: the same code for all of them.

Texts go to the tokenizer and the model directly: transformers' pipeline takes longer for the same answers.
"""

import os
import warnings
from typing import Any


class TextClassifier:
    """Reads MODEL_FOLDER; in bf16 where PRECISION says so. All texts of a call are one batch, padded to the longest."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.set_num_threads(int(os.environ["MODEL_THREADS"]))
        folder = os.environ["MODEL_FOLDER"]
        precision = torch.bfloat16 if os.environ.get("PRECISION") == "bf16" else torch.float32
        self.inference_mode = torch.inference_mode
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=precision).eval()
        self.labels = self.model.config.id2label

    def __call__(self, texts: list[str]) -> list[dict[str, Any]]:
        with self.inference_mode():
            tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            scores, best = self.model(**tokens).logits.float().softmax(-1).max(-1)
        pairs = zip(best.tolist(), scores.tolist(), strict=True)
        return [{"label": self.labels[label], "score": score} for label, score in pairs]


class Wine:
    """Reads WINE_FILE. A row is an array, which costs less than a data frame."""

    def __init__(self) -> None:
        import joblib
        import numpy as np

        self.array = np.asarray
        self.estimator = joblib.load(os.environ["WINE_FILE"])
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def __call__(self, rows: Any) -> list[dict[str, Any]]:
        scores = self.estimator.predict_proba(self.array(rows, dtype=float))
        pairs = zip(scores.argmax(1).tolist(), scores.max(1).tolist(), strict=True)
        return [{"label": str(self.estimator.classes_[label]), "score": score} for label, score in pairs]


class Nothing:
    def __call__(self, texts: list[str]) -> list[str]:
        return texts


MODELS = {"classifier": TextClassifier, "wine": Wine, "nothing": Nothing}


def model() -> Any:
    """The one that MODEL_KIND names."""
    return MODELS[os.environ["MODEL_KIND"]]()
