"""The sample of the translation family: English number words to Russian ones, from 0 to 9999."""

import random
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from deploy.samples import Score
from deploy.samples.batches import Batch, bucketed
from deploy.samples.number_words import LARGEST, english, russian, spoken_english
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.sequences import SPECIAL_TOKENS, UNKNOWN, encode_pairs, generate, small_t5, t5_tokenizer
from deploy.samples.training import main
from model_functions.families.translation import TranslationWrapper

FAMILY = "translation"
DESCRIPTION = "Translates English number words from zero to nine thousand nine hundred and ninety-nine into Russian."
EXAMPLES: list[str] = [
    "twenty-one",
    "one hundred and five",
    "Two Thousand Twenty Six",
    "nine thousand nine hundred and ninety-nine",
]
SEED = 1917
HELD_OUT = 1500
EPOCHS = 7
MINIMUM_EXACT_MATCH = 0.98
MAX_NEW_TOKENS = 16


def split(rng: random.Random) -> tuple[list[int], list[int]]:
    """The numbers to train on and those to test on; a number with a word of its own is always trained on."""
    held_out = set(rng.sample(range(101, LARGEST + 1), HELD_OUT))
    return [number for number in range(LARGEST + 1) if number not in held_out], sorted(held_out)


def wrapper(folder: Path) -> TranslationWrapper:
    """What is published of the folder that train() made."""
    return TranslationWrapper.from_source(str(folder), defaults={"max_new_tokens": MAX_NEW_TOKENS})


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains a small T5 on most numbers and measures it on the others."""
    with reproducible(SEED) as rng:
        numbers, held_out = split(rng)
        tokenizer = build_tokenizer()
        model = small_t5(tokenizer, width=96, layers=2, max_new_tokens=MAX_NEW_TOKENS)
        batches = [batch for _ in range(EPOCHS) for batch in _epoch(tokenizer, numbers, rng)]
        fit(model, batches, peak_rate=1e-3, title="russian_translation_model", progress=progress)
        answers = generate(model, tokenizer, [spoken_english(number, rng) for number in held_out])
    right = sum(answer == russian(number) for answer, number in zip(answers, held_out, strict=True))
    save(model, tokenizer, folder)
    return Score("exact match", right / len(held_out), MINIMUM_EXACT_MATCH, len(held_out), "numbers").require()


def build_tokenizer() -> Any:
    """One token a word, whatever the case, hyphens and spaces of the text."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\p{L}\p{N}]+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts = ["a", *(text for number in range(LARGEST + 1) for text in (english(number), russian(number)))]
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=SPECIAL_TOKENS, show_progress=False))
    return t5_tokenizer(tokenizer, longest=64)


def _epoch(tokenizer: Any, numbers: list[int], rng: random.Random) -> list[Batch]:
    # Small numbers are few but asked for most.
    weighted = [*numbers, *(number for number in numbers if number <= 100 or number % 100 == 0)]
    pairs = [(spoken_english(number, rng), russian(number)) for number in weighted]
    return bucketed(encode_pairs(tokenizer, pairs), size=64, pad=0, rng=rng)


if __name__ == "__main__":
    main("russian_translation_model")
