"""How fast text generation writes: alone and eight at a time, beside transformers' ``generate`` and the memory's limit.

``python -m tests.benchmarks.warm.decode`` measures through the real wrappers, without HTTP, and writes
build/bench/decode.json. Every figure of a model comes from one run; ratios count, not tokens.
"""

import argparse
import gc
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deploy.lanes import flat_graphs, writing
from model_functions.engines.paged_writer import Facts, PagedWriter
from model_functions.engines.transformers import TransformersWriter
from model_functions.families.text_generation import TextGenerationWrapper

RESULT = Path("build/bench/decode.json")
PRECISIONS = ("float32", "bf16", "int8")

#: Bytes of a weight in each precision.
BYTES = {"float32": 4, "bf16": 2, "int8": 1}

#: Of the single stream: tokens of its prompt and of its answer.
PROMPT, ANSWER = 64, 96
STREAMS, REQUESTS = 8, 24
#: Tokens of the prompts and answers of streams that come and go.
PROMPTS, ANSWERS = (16, 96), (32, 96)
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="all of them where none is named")
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS, choices=PRECISIONS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(len(_cores()))
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in asked.models or MODELS:
        found[name] = measure(MODELS[name](), asked.precisions)
        print(table(name, found[name]), flush=True)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if not all(run["same_tokens"] for name in asked.models or MODELS for run in found[name]["ours"].values()):
        sys.exit("float32 wrote other tokens than generate, or a stream others than alone.")


def gpt2() -> Any:
    """124 million weights, as GPT-2 has them; random ones."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config()).eval()


def qwen2() -> Any:
    """Half a billion weights, as Qwen2-0.5B has them, with grouped heads and rotary positions; random ones."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14}
    config = Qwen2Config(num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=4096, **sizes)
    return Qwen2ForCausalLM(config).eval()


MODELS: dict[str, Callable[[], Any]] = {"gpt2": gpt2, "qwen2": qwen2}


def measure(model: Any, precisions: Any) -> dict[str, Any]:
    # A position's weights are looked up; the table of tokens is multiplied with whole, once for both its uses.
    weights = sum(one.numel() for name, one in model.named_parameters() if "wpe" not in name)
    bandwidth = [read_bandwidth()]
    own = TransformersWriter(model, tokenizer(model.config.vocab_size), max_tokens=1024)
    exported = flat_graphs.export(model)
    wrapper = TextGenerationWrapper(own)
    result: dict[str, Any] = {"weights": weights, "generate": {}, "ours": {}}
    result["generate"]["float32"] = generate_rate(model)
    expected = generated(model)
    if "bf16" in precisions:
        result["generate"]["bf16"] = generate_rate(model.to(torch.bfloat16))
    fast = TextGenerationWrapper.__new__(TextGenerationWrapper)
    fast.__dict__.update(wrapper.__dict__)
    facts = Facts(own.positions, own.generation_defaults())
    made = writing.tokenizer_of(own), own.rules, own.chat, facts, writing.pages(exported, own.positions)
    del wrapper, own, model
    for precision in precisions:
        gc.collect()
        fast.engine = writer(exported, precision, *made)
        result["ours"][precision] = ours(fast, expected if precision == "float32" else None)
        bandwidth.append(read_bandwidth())
    result["bandwidth"] = max(bandwidth)
    result["ceiling"] = {one: result["bandwidth"] / (weights * BYTES[one]) for one in precisions}
    return result


def writer(exported: Any, precision: str, tokens: Any, rules: Any, chat: Any, facts: Facts, pages: int) -> PagedWriter:
    return PagedWriter(tokens, flat_graphs.graph_of(exported, precision, pages), rules, chat, facts)


def read_bandwidth() -> float:
    """Bytes a second that all cores read, of an array that no cache holds: the best of three ways."""
    values = torch.ones(2**28 // 4 * 3)
    best = 0.0
    for read in (values.sum, values.max, lambda: torch.dot(values, values)):
        for _ in range(4):
            started = time.perf_counter()
            read()
            best = max(best, values.nbytes / (time.perf_counter() - started))
    return best


def tokenizer(vocabulary: int) -> Any:
    """Words that are numbers, as many as the model knows."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({str(number): number for number in range(vocabulary)}, unk_token="1"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=1024)


def text(tokens: int, seed: int) -> str:
    return " ".join(map(str, np.random.default_rng(seed).integers(1, 50_000, tokens)))


def generated(model: Any) -> list[int]:
    """What ``generate`` writes greedily."""
    numbers = torch.tensor([[int(word) for word in text(PROMPT, 0).split()]])
    with torch.inference_mode():
        answer = model.generate(numbers, **_greedy(ANSWER))
    return list(answer[0, PROMPT:].tolist())


def generate_rate(model: Any) -> float:
    """Tokens a second behind the first one."""
    numbers = torch.tensor([[int(word) for word in text(PROMPT, 0).split()]])
    rates = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            times = []
            for longest in (1, ANSWER // 2):
                started = time.perf_counter()
                model.generate(numbers, attention_mask=torch.ones_like(numbers), **_greedy(longest))
                times.append(time.perf_counter() - started)
            rates.append((ANSWER // 2 - 1) / (times[1] - times[0]))
    return statistics.median(rates)


def _greedy(longest: int) -> dict[str, Any]:
    return {"max_new_tokens": longest, "min_new_tokens": longest, "do_sample": False, "pad_token_id": 0}


def ours(wrapper: TextGenerationWrapper, expected: list[int] | None) -> dict[str, Any]:
    alone(wrapper)  # the first run lays the weights out
    rates, answers = [], []
    for _ in range(REPEATS):
        rate, answer = alone(wrapper)
        rates.append(rate)
        answers.append(answer)
    together = [in_turn(wrapper) for _ in range(REPEATS)]
    same = expected is None or [int(word) for word in answers[0].split()] == expected
    if expected is not None:
        tried = range(0, REQUESTS, 5)
        same &= all(wrapper.predict(*request(one))["generated_text"] == together[0][1][one] for one in tried)
    return {
        "alone": statistics.median(rates),
        "together": statistics.median(rate for rate, _ in together),
        "same_tokens": same,
    }


def alone(wrapper: TextGenerationWrapper) -> tuple[float, str]:
    """Tokens a second behind the first one, and the answer."""
    times = []
    steps = wrapper.steps(text(PROMPT, 0), _asked(ANSWER))
    answer = yield_all(steps, lambda: times.append(time.perf_counter()))
    return (len(times) - 1) / (times[-1] - times[0]), answer["generated_text"]


def yield_all(steps: Iterator[Any], on_piece: Callable[[], None]) -> Any:
    while True:
        try:
            if next(steps) is not None:
                on_piece()
        except StopIteration as end:
            return end.value


def request(number: int) -> tuple[str, dict[str, Any]]:
    draw = np.random.default_rng(100 + number)
    return text(int(draw.integers(*PROMPTS)), number), _asked(int(draw.integers(*ANSWERS)))


def in_turn(wrapper: TextGenerationWrapper) -> tuple[float, dict[int, str]]:
    """Tokens a second of requests of all lengths, eight at a time: where one ends the next begins."""
    coming = iter(range(REQUESTS))
    running: dict[int, Any] = {}
    answers: dict[int, str] = {}
    count, started = 0, time.perf_counter()
    while True:
        while len(running) < STREAMS and (number := next(coming, None)) is not None:
            running[number] = wrapper.steps(*request(number))
        if not running:
            break
        for number, steps in list(running.items()):
            try:
                next(steps)
            except StopIteration as end:
                answers[number] = end.value["generated_text"]
                count += end.value["generated_tokens"]
                del running[number]
    return count / (time.perf_counter() - started), answers


def _asked(longest: int) -> dict[str, Any]:
    return {"max_new_tokens": longest, "min_new_tokens": longest, "do_sample": False}


def table(name: str, found: dict[str, Any]) -> str:
    lines = [f"{name}: {found['weights'] / 1e6:.0f} M weights, memory read at {found['bandwidth'] / 1e9:.1f} GB/s"]
    lines.append(
        f"{'':8} {'generate':>9} {'1 stream':>9} {'ratio':>6} {'ceiling':>8} {'part':>5} {'8 streams':>10} {'×':>5}"
    )
    for precision, run in found["ours"].items():
        generate = found["generate"].get(precision)
        ceiling = found["ceiling"][precision]
        lines.append(
            f"{precision:8} {'' if generate is None else format(generate, '9.1f'):>9} {run['alone']:9.1f} "
            f"{'' if generate is None else format(run['alone'] / generate, '6.2f'):>6} {ceiling:8.1f} "
            f"{run['alone'] / ceiling:5.0%} {run['together']:10.1f} {run['together'] / run['alone']:5.2f}"
            f"{'' if run['same_tokens'] else '  OTHER TOKENS'}"
        )
    return "\n".join(lines)


def _cores() -> set[int]:
    import os

    return os.sched_getaffinity(0)


if __name__ == "__main__":
    main()
