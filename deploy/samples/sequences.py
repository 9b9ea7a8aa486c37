"""Small T5 models from scratch: encoding pairs of texts, generating, saving."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, processors
from transformers import GenerationConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from deploy.samples.batches import Example

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
SPECIAL_TOKENS = [PAD, END, UNKNOWN]

#: Spread of weights with which equal tokens stand out in attention, and a bias that does so for near ones.
MATCH, NEARBY = 0.044, 4.0
#: In T5's table of distances, where those to the tokens that follow begin.
FOLLOWING = 16


def t5_tokenizer(tokenizer: Tokenizer, longest: int) -> Any:
    """Wraps a trained tokenizer so that it ends each text as T5 expects."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def small_t5(tokenizer: Any, *, width: int, layers: int, **generation: object) -> Any:
    """A T5 with fresh weights; ``generation`` becomes its saved generation_config."""
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=32,
        d_ff=2 * width,
        num_layers=layers,
        num_heads=width // 32,
        dropout_rate=0.0,
        decoder_start_token_id=tokenizer.pad_token_id,
        **special,
    )
    model = T5ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(decoder_start_token_id=tokenizer.pad_token_id, **special, **generation)
    return model


@torch.no_grad()
def start_as_copier(model: Any) -> None:
    """Sets the fresh weights so that the model tends to copy, which it would take very long to find out by itself.

    Queries equal keys and outputs undo values, so that the decoder looks up what it wrote last in the source; the first
    self-attentions look at neighbours, so that it finds what comes next there.
    """
    for block in model.decoder.block:
        lookup = block.layer[1].EncDecAttention
        lookup.q.weight.normal_(0, MATCH)
        lookup.k.weight.copy_(lookup.q.weight)
        lookup.o.weight.copy_(lookup.v.weight.T)
    for stack, neighbours in ((model.encoder, (1, 2, FOLLOWING + 1)), (model.decoder, (1, 2, 3))):
        attention = stack.block[0].layer[0].SelfAttention
        attention.o.weight.copy_(attention.v.weight.T)
        bias = attention.relative_attention_bias.weight.zero_()
        for head, distance in enumerate(neighbours):
            bias[distance, head] = NEARBY


def encode_pairs(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[Example]:
    """Source and target texts as token ids."""
    sources = tokenizer([source for source, _ in pairs])["input_ids"]
    targets = tokenizer([target for _, target in pairs])["input_ids"]
    return [Example(source, target) for source, target in zip(sources, targets, strict=True)]


def generate(model: Any, tokenizer: Any, texts: Sequence[str], *, size: int = 128) -> list[str]:
    """The model's answers, decoded with its saved generation_config."""
    answers: list[str] = []
    for start in range(0, len(texts), size):
        inputs = tokenizer(list(texts[start : start + size]), padding=True, return_tensors="pt")
        with torch.inference_mode():
            outputs = model.generate(**inputs)
        answers += tokenizer.batch_decode(outputs, skip_special_tokens=True)
    return answers
