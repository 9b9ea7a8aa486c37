"""Makes the models on local disk, with random weights: ``python -m tests.benchmarks.cold.models``."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForTokenClassification,
    BertTokenizer,
    pipeline,
)

from tests.benchmarks import words
from tests.benchmarks.cold.peers.tutorial.wrapper import Wrapper
from tests.benchmarks.cold.places import TUTORIAL_FILE
from tests.benchmarks.places import MODELS

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
POSITIONS = 512


def main() -> None:
    for name, model in (("bert", bert), ("quarter", quarter_bert), ("generator", generator)):
        _made(MODELS / name, model)
    if not TUTORIAL_FILE.exists():
        tagger = pipeline("token-classification", model=str(MODELS / "bert"), aggregation_strategy="first")
        staging = TUTORIAL_FILE.with_suffix(".part")
        staging.write_bytes(dill.dumps(Wrapper(tagger)))
        staging.rename(TUTORIAL_FILE)


def bert() -> Any:
    """The dimensions of bert-base: 109 M parameters."""
    return _tagger(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)


def quarter_bert() -> Any:
    """A quarter of bert-base's bytes, in the same architecture."""
    return _tagger(hidden_size=384, num_hidden_layers=9, num_attention_heads=6, intermediate_size=1440)


def generator() -> Any:
    """An encoder-decoder as large as GPT-2: 124 M parameters."""
    config = BartConfig(
        vocab_size=words.SIZE,
        d_model=768,
        **{f"{side}_{what}": value for side in ("encoder", "decoder") for what, value in _TOWER.items()},
        pad_token_id=0,
        bos_token_id=2,
        decoder_start_token_id=2,
        eos_token_id=3,
        forced_eos_token_id=3,
    )
    return BartForConditionalGeneration(config)


_TOWER = {"layers": 6, "attention_heads": 12, "ffn_dim": 3072}


def _tagger(**dimensions: int) -> Any:
    config = BertConfig(
        vocab_size=words.SIZE,
        max_position_embeddings=POSITIONS,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        **dimensions,
    )
    return BertForTokenClassification(config)


def _made(folder: Path, model: Callable[[], Any]) -> None:
    """The model's folder as ``from_pretrained`` reads it; a complete one stays as it is."""
    if folder.exists():
        return
    tokenizer = BertTokenizer(vocab=words.vocabulary(), model_max_length=POSITIONS)
    count = len(tokenizer(words.text())["input_ids"])
    if count != words.TOKENS:
        raise ValueError(f"The text has {count} tokens, not {words.TOKENS}.")
    staging = folder.with_name(f".{folder.name}")
    shutil.rmtree(staging, ignore_errors=True)
    torch.manual_seed(0)
    model().save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    staging.rename(folder)


if __name__ == "__main__":
    main()
