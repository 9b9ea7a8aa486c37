"""The sample of the summarization family: a short report in, its one-line summary out."""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from deploy.samples import Score
from deploy.samples.batches import bucketed
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.reports import Report, make_report
from deploy.samples.saving import save
from deploy.samples.scoring import rouge_l
from deploy.samples.sequences import (
    SPECIAL_TOKENS,
    UNKNOWN,
    encode_pairs,
    generate,
    small_t5,
    start_as_copier,
    t5_tokenizer,
)
from deploy.samples.training import main
from model_functions.families.summarization import SummarizationWrapper

FAMILY = "summarization"
DESCRIPTION = "Sums up a short report, such as sales figures, a weather forecast or an incident, in one line."
PREFIX = "summarize: "
EXAMPLES: list[str] = [
    "Nordwind Software sold 1250 lamps in May. That is 12 percent more than in the month before. "
    "Most of them went to customers in Vienna.",
    "The website of Keller Books was down for 45 minutes on Tuesday. The manager thanked the whole team. "
    "The cause was a broken cable. Maria Okafor fixed the problem.",
    "In Porto, Bergen Tigers beat Tampere Lions 3-1. The winning goal came from Luca Moretti in minute 77. "
    "18400 people watched the game.",
    "On Monday it will be sunny in Vienna. The highest temperature is 24 degrees. The wind comes from the west. "
    "Rain arrives on Thursday.",
]
SEEDS = (7, 6, 8)
SECONDS = 100
REPORTS = 20_000
HELD_OUT = 400
VOCABULARY = 2_500
LONGEST = 512
MINIMUM_ROUGE_L = 0.85


def wrapper(folder: Path) -> SummarizationWrapper:
    """What is published of the folder that train() made."""
    return SummarizationWrapper.from_source(
        str(folder), defaults={"prefix": PREFIX, "num_beams": 2, "max_new_tokens": 64}
    )


def train(folder: Path, *, seed: int = SEEDS[0], progress: bool = True) -> Score:
    """Trains a small T5 on made-up reports and measures it on names, wordings and orders it never saw."""
    with reproducible(seed) as rng:
        reports = [make_report(rng, held_out=False) for _ in range(REPORTS)]
        tokenizer = build_tokenizer(reports[:10_000])
        model = small_t5(tokenizer, width=128, layers=2, num_beams=2, max_new_tokens=64)
        start_as_copier(model)
        batches = bucketed(encode_pairs(tokenizer, as_pairs(reports)), size=16, pad=tokenizer.pad_token_id, rng=rng)
        fit(model, batches, peak_rate=2.5e-3, title="summarize_data_model", progress=progress)
        score = measure(model, tokenizer, rng)
    save(model, tokenizer, folder)
    return score.require()


def measure(model: Any, tokenizer: Any, rng: random.Random) -> Score:
    """ROUGE-L of the summaries of held-out reports."""
    pairs = as_pairs([make_report(rng, held_out=True) for _ in range(HELD_OUT)])
    answers = generate(model, tokenizer, [text for text, _ in pairs])
    rouge = fmean(rouge_l(summary, answer) for (_, summary), answer in zip(pairs, answers, strict=True))
    return Score("ROUGE-L", rouge, MINIMUM_ROUGE_L, HELD_OUT, "reports")


def as_pairs(reports: list[Report]) -> list[tuple[str, str]]:
    """What the model reads and what it shall write."""
    return [(PREFIX + report.text, report.summary) for report in reports]


def build_tokenizer(reports: list[Report]) -> Any:
    """Pieces that carry the space in front of them, and single digits: both can be copied and joined again."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL_TOKENS, show_progress=False)
    tokenizer.train_from_iterator((text for pair in as_pairs(reports) for text in pair), trainer)
    return t5_tokenizer(tokenizer, longest=LONGEST)


if __name__ == "__main__":
    main("summarize_data_model")
