"""How fast text generation writes: alone and eight at a time, beside transformers' ``generate`` and the memory's limit.

``python -m tests.benchmarks.warm.decode`` measures through the real wrappers, without HTTP, and writes
build/bench/decode.json. Every figure of a model comes from one run; ratios count, not tokens.
"""

import argparse
import gc
import json
import os
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
PRECISIONS = ("fp32", "bf16", "int8")

#: Bytes of a weight in each precision.
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}

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
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in asked.models or MODELS:
        found[name] = measure(MODELS[name](), asked.precisions)
        print(table(name, found[name]), flush=True)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if not all(run["same_tokens"] for name in asked.models or MODELS for run in found[name]["ours"].values()):
        sys.exit("fp32 wrote other tokens than generate, or a stream others than alone.")


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
    own = TransformersWriter(model, tokenizer(model.config.vocab_size), max_tokens=1024)
    exported = flat_graphs.export(model)
    wrapper = TextGenerationWrapper(own)
    result: dict[str, Any] = {"weights": weights, "generate": {}, "ours": {}}
    expected = None
    if "fp32" in precisions:
        result["generate"]["fp32"] = generate_rate(model)
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
        same = expected if precision == "fp32" else None
        result["ours"][precision] = ours(fast, same, weights * BYTES[precision])
    return result


def writer(exported: Any, precision: str, tokens: Any, rules: Any, chat: Any, facts: Facts, pages: int) -> PagedWriter:
    return PagedWriter(tokens, flat_graphs.graph_of(exported, precision, pages), rules, chat, facts)


def read_bandwidth() -> float:
    """Bytes a second that all cores read, of an array that no cache holds: the best of two ways."""
    values = torch.ones(2**27)
    best = 0.0
    reads: list[Callable[[], Any]] = [lambda: torch.sum(values), lambda: torch.dot(values, values)]
    for read in reads:
        for _ in range(2):
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


def ours(wrapper: TextGenerationWrapper, expected: list[int] | None, weights_bytes: int) -> dict[str, Any]:
    alone(wrapper)  # the first run lays the weights out
    rates, ceilings, answers, together = [], [], [], []
    for _ in range(REPEATS):
        # In turn: another machine beside this one may take half of the memory's bandwidth for a while.
        ceilings.append(read_bandwidth() / weights_bytes)
        rate, answer = alone(wrapper)
        rates.append(rate)
        answers.append(answer)
        together.append(in_turn(wrapper))
    same = expected is None or [int(word) for word in answers[0].split()] == expected
    if expected is not None:
        tried = range(0, REQUESTS, 5)
        same &= all(wrapper.predict(*request(one))["generated_text"] == together[0][1][one] for one in tried)
    return {
        "alone": statistics.median(rates),
        "together": statistics.median(rate for rate, _ in together),
        "times": statistics.median(both / one for one, (both, _) in zip(rates, together, strict=True)),
        "ceiling": statistics.median(ceilings),
        "part": statistics.median(rate / ceiling for rate, ceiling in zip(rates, ceilings, strict=True)),
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
    """Tokens a second of requests of all lengths while there are eight: where one ends the next begins.

    Their prompts are read meanwhile, which counts as time and not as tokens.
    """
    coming = iter(range(REQUESTS))
    running: dict[int, Any] = {}
    answers: dict[int, str] = {}
    count, ended, started = 0, 0.0, time.perf_counter()
    while True:
        while len(running) < STREAMS and (number := next(coming, None)) is not None:
            running[number] = wrapper.steps(*request(number))
        if not running:
            return count / (ended - started), answers
        for number, steps in list(running.items()):
            try:
                piece = next(steps)
            except StopIteration as end:
                answers[number] = end.value["generated_text"]
                del running[number]
                continue
            if piece is not None and not ended:
                count += 1
        if len(running) < STREAMS and len(answers) + len(running) == REQUESTS:
            ended = ended or time.perf_counter()


def _asked(longest: int) -> dict[str, Any]:
    return {"max_new_tokens": longest, "min_new_tokens": longest, "do_sample": False}


def table(name: str, found: dict[str, Any]) -> str:
    heads = ("generate", "1 stream", "ratio", "ceiling", "part", "8 streams", "times")
    rows = [["", *heads]]
    for precision, run in found["ours"].items():
        generate = found["generate"].get(precision)
        beside = ["", ""] if generate is None else [f"{generate:.1f}", f"{run['alone'] / generate:.2f}"]
        part = [f"{run['ceiling']:.1f}", f"{run['part']:.0%}", f"{run['together']:.1f}", f"{run['times']:.2f}"]
        rows.append([precision, beside[0], f"{run['alone']:.1f}", beside[1], *part])
        if not run["same_tokens"]:
            rows[-1].append("OTHER TOKENS")
    lines = ["".join(f"{cell:>11}" for cell in row) for row in rows]
    return "\n".join([f"{name}, {found['weights'] / 1e6:.0f} M weights: tokens a second", *lines])


if __name__ == "__main__":
    main()
