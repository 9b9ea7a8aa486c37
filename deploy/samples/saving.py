"""Writes a trained text model as the folder that the Auto classes of transformers load."""

from pathlib import Path
from typing import Any

from transformers.utils import logging


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Model and tokenizer side by side, without transformers' own progress bar."""
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    finally:
        logging.enable_progress_bar()
