"""A small BERT from scratch, with the word pieces it reads."""

import random
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast

from deploy.samples.batches import Batch
from deploy.samples.grammar import SLOT
from deploy.samples.word_lists import sections

LONGEST = 512
WIDTH, HEADS = 128, 4
#: The longest piece of a word that is not the whole word, and how many of them there are.
PIECE, PIECES = 4, 2_500
PAD, UNKNOWN, START, END, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PRE_TOKENIZER = pre_tokenizers.BertPreTokenizer()
SPREAD = 0.02
#: Which neighbour each head of the first layer looks at to begin with, and how sharply.
NEIGHBOURS = (-1, 1, -2, 2)
SHARPNESS = 1.7


def bert_tokenizer(texts: Iterable[str], *, cased: bool) -> Any:
    """Word pieces without accents: a word of the texts is one piece, an unknown one a few.

    Args:
        cased: whether capitals count; then the texts' words are also known as they begin a sentence.
    """
    normalizer = _normalizer(cased)
    return _wrapped(_word_pieces(_vocabulary(_known_words(texts, normalizer, cased)), normalizer))


def finer(tokenizer: Any) -> Any:
    """The same, but known words too are read in pieces, unless they have four letters at most."""
    ids = {token: number for token, number in tokenizer.get_vocab().items() if len(token.removeprefix("##")) <= PIECE}
    special = {token: tokenizer.get_vocab()[token] for token in SPECIAL_TOKENS}
    return _wrapped(_word_pieces(ids | special, tokenizer.backend_tokenizer.normalizer))


def fixed_words(*files: str) -> list[str]:
    """The templates' texts without their slots."""
    return [SLOT.sub(" ", row) for file in files for rows in sections(file).values() for row in rows]


def _normalizer(cased: bool) -> Any:
    return normalizers.Sequence(
        [normalizers.Replace("\u2019", "'"), normalizers.BertNormalizer(lowercase=not cased, strip_accents=True)]
    )


def _word_pieces(ids: dict[str, int], normalizer: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = PRE_TOKENIZER
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} $B:1 {END}:1",
        special_tokens=[(token, ids[token]) for token in (START, END)],
    )
    return tokenizer


def _wrapped(tokenizer: Tokenizer) -> Any:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=START,
        sep_token=END,
        mask_token=MASK,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _vocabulary(words: list[str]) -> dict[str, int]:
    """Characters, the most frequent pieces of words, and whole words.

    The library's own trainers number the pieces differently each time, and the model would not come out the same.
    """
    pieces: Counter[str] = Counter()
    for word in words:
        pieces.update(_pieces_of(word))
    characters = sorted(piece for piece in pieces if len(piece.removeprefix("##")) == 1)
    frequent = [piece for piece, _ in sorted(pieces.items(), key=lambda item: (-item[1], item[0]))[:PIECES]]
    tokens = dict.fromkeys([*SPECIAL_TOKENS, *characters, *frequent, *words])
    return {token: number for number, token in enumerate(tokens)}


def _pieces_of(word: str) -> Iterator[str]:
    for start in range(len(word)):
        for end in range(start + 1, min(start + PIECE, len(word)) + 1):
            yield f"##{word[start:end]}" if start else word[:end]


def _known_words(texts: Iterable[str], normalizer: Any, cased: bool) -> list[str]:
    """Every word of the texts, as the tokenizer splits them, and the printable characters."""
    words = []
    for text in texts:
        words += [word for word, _ in PRE_TOKENIZER.pre_tokenize_str(normalizer.normalize_str(text))]
    everyday = [word.capitalize() for word in words if word.islower()] if cased else []
    characters = normalizer.normalize_str(string.printable.strip())
    return list(dict.fromkeys([*characters, *words, *everyday]))


def small_bert(
    model_class: Any, tokenizer: Any, labels: Sequence[str] = (), *, layers: int = 3, dropout: float = 0.1
) -> Any:
    """A BERT with fresh weights that knows where its tokens stand.

    Args:
        model_class: one of transformers' classes of BERT.
        labels: what it tells apart.
    """
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=LONGEST,
        initializer_range=SPREAD,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = model_class(config)
    _start_with_neighbours(model)
    return model


def move_along(batches: Sequence[Batch], rng: random.Random) -> None:
    """Puts sentences at later positions: otherwise the model would know only the beginning of a long text."""
    for batch in batches:
        width = batch["input_ids"].shape[1]
        start = rng.randrange(LONGEST - width)
        batch["position_ids"] = torch.arange(start, start + width).unsqueeze(0)


@torch.no_grad()
def _start_with_neighbours(model: Any) -> None:
    """Positions begin as waves, and the first layer's heads turn them so that each looks at one neighbour.

    It takes a fresh model a large part of a short training to find out what stands beside what.
    """
    bert = getattr(model, "bert", model)
    half = WIDTH // 2
    speeds = 1000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(LONGEST).unsqueeze(1) * speeds
    bert.embeddings.position_embeddings.weight.copy_(torch.cat([angles.sin(), angles.cos()], dim=1) * SPREAD)
    attention = bert.encoder.layer[0].attention.self
    for projection in (attention.query, attention.key):
        projection.weight.mul_(0.2)
    waves = torch.arange(WIDTH // HEADS // 2)  # each head has room for the fastest ones
    for head, distance in enumerate(NEIGHBOURS):
        sines, cosines = head * WIDTH // HEADS + 2 * waves, head * WIDTH // HEADS + 2 * waves + 1
        turn_cos, turn_sin = (speeds[waves] * distance).cos(), (speeds[waves] * distance).sin()
        attention.key.weight[sines, waves] += SHARPNESS
        attention.key.weight[cosines, waves + half] += SHARPNESS
        attention.query.weight[sines, waves] += SHARPNESS * turn_cos
        attention.query.weight[sines, waves + half] += SHARPNESS * turn_sin
        attention.query.weight[cosines, waves + half] += SHARPNESS * turn_cos
        attention.query.weight[cosines, waves] -= SHARPNESS * turn_sin
