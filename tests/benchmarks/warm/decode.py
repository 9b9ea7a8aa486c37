"""How fast text generation writes: alone and eight at a time, beside transformers' ``generate`` and the memory's limit.

``python -m tests.benchmarks.warm.decode [MODEL …] [--precisions …]`` measures through the real wrappers, without HTTP,
and writes build/bench/decode.json. What is compared is taken in turns, in one process: ratios count, not tokens.
What is not asked for stays in the file as it was. "others" is how many cores others kept busy meanwhile: with more
than a little of it no figure is held against its bound.

The ceiling is how often a second all cores can read as many bytes as the weights have: the best of some sums over an
array of that size, taken before and after each text. It can be reached: a plain product of a matrix and a vector in
OpenVINO read as fast in one run (44 GB/s both). Keys and values are read on top of the weights.
"""

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from deploy.project import BUILD
from model_functions.families.text_generation import TextGenerationWrapper
from tests.benchmarks.figures import ratio, shown, table
from tests.benchmarks.places import shown as place
from tests.benchmarks.progress import progress
from tests.benchmarks.targets import Target, targets_table
from tests.benchmarks.warm import decoders
from tests.benchmarks.warm.busy import DISTURBED, Busy

REPORT = BUILD / "bench" / "decode.json"

#: Bytes of a weight in each precision.
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}

#: Of the single text: tokens of its prompt and of its answer.
PROMPT, ANSWER = 64, 96
STREAMS, REQUESTS = 8, 24
#: Of the requests, those that are also answered one after the other: each third.
ALONE = slice(None, None, 3)
#: Tokens of the prompts and answers of streams that come and go.
PROMPTS, ANSWERS = (16, 96), (32, 96)
#: Rounds of a precision; no further one begins after so many seconds.
ROUNDS, SECONDS = 3, 40.0
READS = 4

#: What is asked of 124 M weights, by precision: the single text ÷ generate, and as a part of the ceiling.
FASTER, PART = {"fp32": 1.3, "bf16": 2.5}, {"fp32": 0.8, "bf16": 0.7}
TIMES = 6.0

Request = tuple[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[*decoders.MODELS, []], help="all of them where none is named")
    parser.add_argument("--precisions", nargs="*", default=list(BYTES), choices=BYTES)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    runs = json.loads(REPORT.read_text())["runs"] if REPORT.exists() else {}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    for name in asked.models or decoders.MODELS:
        for precision, run in measured(name, asked.precisions):
            progress(f"{name} {precision}: {json.dumps(run)}")
            runs.setdefault(name, {})[precision] = run
            document = {"runs": runs, "targets": [asdict(target) for target in targets(runs)]}
            REPORT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{text_table(runs)}\n\n{targets_table(targets(runs))}\n\nall figures in {place(REPORT)}")
    if not all(run["same_tokens"] for found in runs.values() for run in found.values()):
        sys.exit("fp32 wrote other tokens than generate, or among others than alone.")


def measured(name: str, precisions: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    model = decoders.model_of(name)
    weights = decoders.multiplied(model)
    precisions = [precision for precision in BYTES if precision in precisions]
    for precision, wrapper in zip(precisions, decoders.served(model, precisions), strict=True):
        # The graphs have been exported: nobody needs the single precision any more.
        generate = None if precision == "int8" else model.to(torch.bfloat16 if precision == "bf16" else torch.float32)
        yield precision, {"weights": weights} | measure(wrapper, generate, weights * BYTES[precision], precision)


def measure(wrapper: TextGenerationWrapper, model: Any, weights_bytes: int, precision: str) -> dict[str, Any]:
    """Medians of rounds in which everything is taken once.

    Args:
        model: transformers', in the same precision; None where it has none.
    """
    coming = [request(number) for number in range(REQUESTS)]
    bandwidth = Bandwidth(weights_bytes)
    alone(wrapper)  # the first run lays the weights out
    rounds: list[dict[str, float]] = []
    same, until = True, time.monotonic() + SECONDS
    expected = generated(model) if precision == "fp32" else None
    while not rounds or (len(rounds) < ROUNDS and time.monotonic() < until):
        busy = Busy()
        before = bandwidth.ceiling()
        rate, answer = alone(wrapper)
        found = {"alone": rate, "ceiling": max(before, bandwidth.ceiling())}
        if model is not None:
            found["generate"] = generate_rate(model)
        found["in_turn"], answers = side_by_side(wrapper, coming[ALONE], 1)
        found["together"], others = side_by_side(wrapper, coming, STREAMS)
        if expected is not None:
            same &= answer.split() == expected and answers == others[ALONE]
        rounds.append(found | {"others": busy.others()})
    return medians(rounds) | {"rounds": len(rounds), "same_tokens": same}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of the figures, and of each round's ratios."""
    ratios = {"times": ("together", "in_turn"), "part": ("alone", "ceiling"), "faster": ("alone", "generate")}
    for found in rounds:
        found |= {name: found[one] / found[other] for name, (one, other) in ratios.items() if other in found}
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


class Bandwidth:
    """Reads an array of the weights' size, which no cache holds."""

    def __init__(self, size: int) -> None:
        self._values = torch.from_numpy(np.ones(size // 4, dtype=np.float32))

    def ceiling(self) -> float:
        """Reads a second, by the fastest."""
        times = []
        for _ in range(READS):
            started = time.perf_counter()
            torch.sum(self._values)
            times.append(time.perf_counter() - started)
        return 1 / min(times)


def alone(wrapper: TextGenerationWrapper) -> tuple[float, str]:
    """Tokens a second behind the first one, and the answer."""
    times = []
    steps = wrapper.steps(words(PROMPT, 0), _asked(ANSWER))
    while True:
        try:
            if next(steps) is not None:
                times.append(time.perf_counter())
        except StopIteration as end:
            return (len(times) - 1) / (times[-1] - times[0]), end.value["generated_text"]


def generate_rate(model: Any) -> float:
    """The same of transformers' ``generate``."""
    numbers = _numbers()
    times = []
    with torch.inference_mode():
        for longest in (1, ANSWER // 2):
            started = time.perf_counter()
            model.generate(numbers, attention_mask=torch.ones_like(numbers), **_greedy(longest))
            times.append(time.perf_counter() - started)
    return (ANSWER // 2 - 1) / (times[1] - times[0])


def generated(model: Any) -> list[str]:
    """What ``generate`` writes."""
    with torch.inference_mode():
        answer = model.generate(_numbers(), **_greedy(ANSWER))
    return list(map(str, answer[0, PROMPT:].tolist()))


def side_by_side(wrapper: TextGenerationWrapper, coming: list[Request], streams: int) -> tuple[float, list[str]]:
    """Tokens a second while there are so many streams, and all answers: where one ends the next request begins.

    Prompts are read meanwhile, which counts as time and not as tokens. It is counted from the first answer's end, when
    the streams stand at different places, until there is no request to take an ended one's place: so that as many
    answers are written as prompts are read.
    """
    waiting = iter(enumerate(coming))
    running: dict[int, Any] = {}
    answers: dict[int, str] = {}
    count, started = 0, time.perf_counter()
    rate = 0.0
    while len(answers) < len(coming):
        while len(running) < streams and (entry := next(waiting, None)) is not None:
            running[entry[0]] = wrapper.steps(*entry[1])
        for number, steps in list(running.items()):
            try:
                count += next(steps) is not None
            except StopIteration as end:
                answers[number] = end.value["generated_text"]
                del running[number]
                if len(answers) == 1:
                    count, started = 0, time.perf_counter()
        if not rate and len(answers) + len(running) == len(coming) and len(running) < streams:
            rate = count / (time.perf_counter() - started)
    return rate, [answers[number] for number in range(len(coming))]


def request(number: int) -> Request:
    draw = np.random.default_rng(100 + number)
    return words(int(draw.integers(*PROMPTS)), number), _asked(int(draw.integers(*ANSWERS)))


def words(count: int, seed: int) -> str:
    return " ".join(map(str, np.random.default_rng(seed).integers(1, 50_000, count)))


def _numbers() -> Any:
    return torch.tensor([[int(word) for word in words(PROMPT, 0).split()]])


def _asked(longest: int) -> dict[str, Any]:
    return {"max_new_tokens": longest, "min_new_tokens": longest, "do_sample": False}


def _greedy(longest: int) -> dict[str, Any]:
    return _asked(longest) | {"pad_token_id": 0}


def targets(runs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Target]:
    def figure(precision: str, name: str) -> float | None:
        run = runs.get("gpt2", {}).get(precision, {})
        return run.get(name) if run.get("others", 0.0) <= DISTURBED else None

    def least(name: str, value: float | None, bound: float) -> Target:
        return Target(f"decode 124 M, {name}", value, bound, at_least=True)

    known = [rate for precision in FASTER if (rate := figure(precision, "alone")) is not None]
    fastest = max(known) if len(known) == len(FASTER) else None
    return [
        *(least(f"{one}: ÷ generate", figure(one, "faster"), bound) for one, bound in FASTER.items()),
        *(least(f"{one}: part of the ceiling", figure(one, "part"), bound) for one, bound in PART.items()),
        least("int8 ÷ the faster of both", ratio(figure("int8", "alone"), fastest), 1.0),
        *(least(f"{one}: {STREAMS} streams ÷ 1", figure(one, "times"), TIMES) for one in BYTES),
    ]


def text_table(runs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "generate": lambda run: shown(run.get("generate"), digits=1),
        "1 stream": lambda run: shown(run["alone"], digits=1),
        "÷ generate": lambda run: shown(run.get("faster")),
        "ceiling": lambda run: shown(run["ceiling"], digits=1),
        "part": lambda run: f"{run['part']:.0%}",
        "in turn": lambda run: shown(run["in_turn"], digits=1),
        f"{STREAMS} streams": lambda run: shown(run["together"], digits=1),
        "÷ in turn": lambda run: shown(run["times"]),
        "others": lambda run: shown(run["others"]),
        "tokens": lambda run: "same" if run["same_tokens"] else "OTHERS",
    }
    rows = [
        (f"{name}, {run['weights'] / 1e6:.0f} M, {precision}", *(cell(run) for cell in columns.values()))
        for name, found in runs.items()
        for precision, run in found.items()
    ]
    return "Tokens a second\n" + table(("", *columns), rows)


if __name__ == "__main__":
    main()
