"""Decoders in full size with random weights: in transformers, and served as their fast lane serves them."""

import copy
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from deploy.lanes import flat_graphs, writing
from model_functions.engines.paged_writer import Facts, PagedWriter
from model_functions.engines.transformers import TransformersWriter
from model_functions.families.text_generation import TextGenerationWrapper

#: Of all random weights: with smaller ones a model says one token over and over, and equal answers mean little.
_SPREAD = 0.1


def gpt2() -> Any:
    """124 million weights, as GPT-2 has them."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(initializer_range=_SPREAD))


def qwen2() -> Any:
    """Half a billion weights, as Qwen2-0.5B has them, with grouped heads and rotary positions."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    sizes = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14}
    more = {"num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 4096}
    return Qwen2ForCausalLM(Qwen2Config(initializer_range=_SPREAD, **more, **sizes))


MODELS: dict[str, Callable[[], Any]] = {"gpt2": gpt2, "qwen2": qwen2}


def model_of(name: str) -> Any:
    torch.manual_seed(0)
    return MODELS[name]().eval()


def multiplied(model: Any) -> int:
    """Weights that each step multiplies with: a position's are looked up, the table of tokens is used as the head."""
    return sum(one.numel() for name, one in model.named_parameters() if "wpe" not in name)


def served(model: Any, precisions: Sequence[str]) -> Iterator[TextGenerationWrapper]:
    """The model's wrapper in its fast lane, one precision after the other."""
    own = TransformersWriter(model, _tokenizer(model.config.vocab_size), max_tokens=1024)
    wrapper = copy.copy(TextGenerationWrapper(own))
    facts = Facts(own.positions, own.generation_defaults())
    exported = flat_graphs.export(model)
    for precision in precisions:
        graph = flat_graphs.graph_of(exported, precision, writing.pages(exported, own.positions))
        wrapper.engine = PagedWriter(writing.tokenizer_of(own), graph, own.rules, own.chat, facts)
        yield wrapper
        del graph, wrapper.engine
        gc.collect()


def _tokenizer(vocabulary: int) -> Any:
    """Words that are numbers, as many as the model knows."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({str(number): number for number in range(vocabulary)}, unk_token="1"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=1024)
