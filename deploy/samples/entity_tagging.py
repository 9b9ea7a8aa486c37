"""Between names in a text and one BIO label for each token of it."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch

from deploy.samples.batches import NO_LABEL, Example
from deploy.samples.entity_sentences import LABELS
from deploy.samples.grammar import Entity, Sentence
from deploy.samples.name_sources import NAME_LISTS, known_names
from deploy.samples.small_bert import bert_tokenizer, fixed_words
from deploy.samples.word_lists import names

#: "B-" opens a name, "I-" goes on with it, also within a word; "O" is outside of names.
TAGS = ("O", *(f"{prefix}-{label}" for label in LABELS for prefix in "BI"))


def tagging_tokenizer() -> Any:
    """The pieces of the words that training knows; capitals count."""
    listed = [name for list_name in NAME_LISTS for name in known_names(list_name, held_out=False)]
    texts = [*listed, *names("common_words"), *fixed_words("everyday_words", "entity_sentences", "name_shapes")]
    return bert_tokenizer(texts, cased=True)


def encode(tokenizer: Any, sentences: Sequence[Sentence]) -> list[Example]:
    """Token ids with the index in TAGS for each token; the special tokens have no label."""
    encoded = tokenizer([sentence.text for sentence in sentences], return_offsets_mapping=True)
    rows = zip(encoded["input_ids"], encoded["offset_mapping"], sentences, strict=True)
    return [Example(tokens, _tags(offsets, sentence.entities)) for tokens, offsets, sentence in rows]


def find_entities(model: Any, tokenizer: Any, texts: Sequence[str], *, size: int = 128) -> list[set[Entity]]:
    """The names that the model finds in each text."""
    found = []
    for start in range(0, len(texts), size):
        encoded = tokenizer(
            list(texts[start : start + size]),
            return_offsets_mapping=True,
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        offsets = encoded.pop("offset_mapping").tolist()
        with torch.inference_mode():
            best = model(**encoded).logits.softmax(-1).max(-1)
        scores, tags = best.values.tolist(), best.indices.tolist()
        found += [_entities(encoded.word_ids(row), offsets[row], scores[row], tags[row]) for row in range(len(tags))]
    return found


def _tags(offsets: Sequence[tuple[int, int]], entities: Sequence[Entity]) -> list[int]:
    tags = [NO_LABEL if start == end else 0 for start, end in offsets]
    for entity in entities:
        inside = [place for place, (start, end) in enumerate(offsets) if entity.start <= start < end <= entity.end]
        for place in inside:
            tags[place] = TAGS.index(f"{'B' if place == inside[0] else 'I'}-{entity.label}")
    return tags


def _entities(words: list[int | None], offsets: list[list[int]], scores: list[float], tags: list[int]) -> set[Entity]:
    """Reads each word's surest token; an "I-" that follows nothing opens a name too."""
    found: list[Entity] = []
    previous = "O"
    tokens = [token for token in zip(words, offsets, scores, tags, strict=True) if token[0] is not None]
    for _, group in groupby(tokens, key=itemgetter(0)):
        word = list(group)
        (start, _), end = word[0][1], word[-1][1][1]
        name = TAGS[max(word, key=itemgetter(2))[3]]
        if name.startswith("I-") and previous[2:] == name[2:]:
            found[-1] = Entity(found[-1].start, end, found[-1].label)
        elif name != "O":
            found.append(Entity(start, end, name[2:]))
        previous = name
    return set(found)
