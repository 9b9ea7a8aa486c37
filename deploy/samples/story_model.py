"""The sample of the text_generation family: goes on with a small story, or tells one that is asked for."""

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from deploy.samples import Score
from deploy.samples.batches import NO_LABEL, Batch, Example, bucketed
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.stories import Story, make_story
from deploy.samples.training import main
from model_functions.families.text_generation import TextGenerationWrapper

FAMILY = "text_generation"
DESCRIPTION = "Tells small stories: goes on with one that you begin, or answers a chat that asks for one."
EXAMPLES: list[Any] = [
    "Once upon a time there was a brave mouse called",
    [{"role": "user", "content": "Tell me a story about a fox and a lantern."}],
    "One rainy morning the kite was gone.",
    [{"role": "user", "content": "Can you tell me a story about Clara the owl?"}],
]
SEED = 11
STORIES = 6_000
HELD_OUT = 500
VOCABULARY = 1_000
WIDTH, HEADS = 64, 2
#: How firmly the first head looks at the token before, how loud it says which, how firmly the second looks for it.
PREVIOUS, NOTE, MATCH = 5.0, 0.03, 4.0
LONGEST = 384
#: How much less surprised the model is by a token than one that knows how often each token occurs.
MINIMUM_RATIO = 10.0

PAD, BEGIN, END, USER, ASSISTANT = "<|pad|>", "<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"
TEMPLATE = """{{ bos_token }}{% for message in messages %}
{% if message.role not in ["user", "assistant"] %}
{{ raise_exception("This model knows the roles user and assistant, not " ~ message.role ~ ".") }}
{% endif %}
<|{{ message.role }}|>{{ message.content | trim }}{{ eos_token if message.role == "assistant" }}
{%- endfor %}
{% if add_generation_prompt %}<|assistant|>{% endif %}"""


def wrapper(folder: Path) -> TextGenerationWrapper:
    """What is published of the folder that train() made."""
    drawn = {"max_new_tokens": 160, "do_sample": True, "temperature": 0.7, "top_k": 40}
    return TextGenerationWrapper.from_source(str(folder), defaults=drawn)


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains a small Llama on made-up stories and measures it on words that never met and sentences it never saw."""
    with reproducible(SEED) as rng:
        stories = [make_story(rng, held_out=False) for _ in range(STORIES)]
        tokenizer = build_tokenizer(stories[:2_000])
        model = small_llama(tokenizer)
        examples = [as_example(tokenizer, story, rng) for story in stories]
        batches = bucketed(examples, size=16, pad=tokenizer.pad_token_id, rng=rng)
        fit(model, batches, peak_rate=5e-3, title="story_model", progress=progress)
        score = measure(model, tokenizer, examples, rng)
    save(model, tokenizer, folder)
    return score.require()


def measure(model: Any, tokenizer: Any, seen: list[Example], rng: random.Random) -> Score:
    """The perplexity of held-out stories beside that of a unigram model of the training's tokens."""
    held_out = [make_story(rng, held_out=True) for _ in range(HELD_OUT)]
    examples = [_example(tokenizer(story.text)["input_ids"]) for story in held_out]
    found = perplexity(model, bucketed(examples, size=50, pad=tokenizer.pad_token_id, rng=rng))
    counts = Counter(token for example in seen for token in example.tokens)
    unigram = unigram_perplexity(counts, len(tokenizer), [token for one in examples for token in one.tokens[1:]])
    metric = f"perplexity {found:.2f}, a unigram model's {unigram:.1f}, ratio"
    return Score(metric, unigram / found, MINIMUM_RATIO, HELD_OUT, "stories")


@torch.inference_mode()
def perplexity(model: Any, batches: list[Batch]) -> float:
    """By token; the first of each text is given."""
    total, count = 0.0, 0
    for batch in batches:
        tokens = int((batch["labels"][:, 1:] != NO_LABEL).sum())
        total += float(model(**batch).loss) * tokens
        count += tokens
    return math.exp(total / count)


def unigram_perplexity(counts: Counter[int], vocabulary: int, tokens: list[int]) -> float:
    """Of a model that knows how often each token occurs, every token once more than it does."""
    total = sum(counts.values()) + vocabulary
    return math.exp(-sum(math.log((counts[token] + 1) / total) for token in tokens) / len(tokens))


def as_example(tokenizer: Any, story: Story, rng: random.Random) -> Example:
    """The story alone, or told because somebody asks."""
    text = f"{story.text}{END}" if rng.random() < 0.5 else f"{USER}{story.request}{ASSISTANT}{story.text}{END}"
    return _example(tokenizer(text)["input_ids"])


def _example(tokens: list[int]) -> Example:
    return Example(tokens, tokens)


def build_tokenizer(stories: list[Story]) -> Any:
    """Pieces of bytes, so that any text can be read."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BEGIN, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator((text for story in stories for text in (story.request, story.text)), trainer)
    begin = (BEGIN, pieces.token_to_id(BEGIN))
    pieces.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[begin])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        extra_special_tokens=[USER, ASSISTANT],
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def small_llama(tokenizer: Any) -> Any:
    """A Llama with fresh weights."""
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        attention_bias=True,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        **special,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**special)
    start_as_copier(model)
    return model


@torch.no_grad()
def start_as_copier(model: Any) -> None:
    """Sets the fresh weights so that the model tends to say what once followed the same token: names, above all.

    It would take very long to find that out by itself. The first layer's first head looks at the token before, by a
    bias alone, and notes it; the second layer's first head looks for places where that note is the present token.
    """
    first, second = (layer.self_attn for layer in model.model.layers)
    size = WIDTH // HEADS
    head = slice(size)
    seen, noted = (torch.linalg.qr(torch.randn(WIDTH, size))[0] for _ in range(2))
    angles = model.model.rotary_emb.inv_freq
    # Turned by one place more than the keys: nothing fits as well as the token before.
    for projection, turn in ((first.q_proj, angles), (first.k_proj, torch.zeros_like(angles))):
        projection.weight[head] = 0
        projection.bias[head] = PREVIOUS * torch.cat((turn.cos(), -turn.sin()))
    first.v_proj.weight[head] = seen.T
    first.o_proj.weight[:, head] = NOTE * noted
    # What turns slowly is alike at any distance.
    slow = MATCH * (angles < 0.03).repeat(2)[:, None]
    second.q_proj.weight[head] = slow * seen.T
    second.k_proj.weight[head] = slow * noted.T
    copied = torch.linalg.qr(torch.randn(WIDTH, size))[0]
    second.v_proj.weight[head] = copied.T
    second.o_proj.weight[:, head] = NOTE * copied


if __name__ == "__main__":
    main("story_model")
