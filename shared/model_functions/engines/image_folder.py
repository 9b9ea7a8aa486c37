"""A folder of an image classifier and its processor, as transformers keeps it; only publishing reads it."""

import sys
from dataclasses import dataclass
from typing import Any

from model_functions.engines import torch


@dataclass(frozen=True)
class LoadedImageClassifier:
    """A folder's image classifier.

    Args:
        processor: its image processor's settings, the defaults of its class included.
        channels: of the images that the model was trained on.
        multi_label: whether several labels may hold at once.
    """

    engine: torch.ImageClassifier
    processor: dict[str, Any]
    channels: int
    multi_label: bool


def load_image_classifier(source: str) -> LoadedImageClassifier:
    """From a Hub id or a folder. Raises OSError where there is none, ValueError where it gives numbers, not labels."""
    import transformers

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    # The kind that needs no torchvision; its settings are those of the other.
    processor = transformers.AutoImageProcessor.from_pretrained(source, backend="pil")
    model = transformers.AutoModelForImageClassification.from_pretrained(source)
    config = model.config
    if config.problem_type == "regression":
        raise ValueError("The model was trained for regression (problem_type): it gives numbers, and no labels.")
    for holder in model.modules():
        if hasattr(holder, "name_or_path"):
            holder.name_or_path = ""
    config._name_or_path = ""
    labels = [str(config.id2label[index]) for index in range(config.num_labels)]
    return LoadedImageClassifier(
        torch.ImageClassifier(model, labels),
        processor.to_dict(),
        channels=_channels(config),
        multi_label=config.problem_type == "multi_label_classification" or len(labels) == 1,
    )


def _channels(config: Any) -> int:
    """Models that also read text keep it with what sees; some never say that it is three."""
    seeing = getattr(config, "vision_config", config)
    channels: int = getattr(seeing, "num_channels", 3)
    return channels
