"""Translation and summarization beside transformers' ``generate``: full-size architectures, random weights, float32.

``python -m tests.benchmarks.warm.seq2seq [ARCHITECTURE …]``; a sentence of 25 tokens in, 30 tokens out. Each
architecture is timed in a process of its own, in turns with ``generate``, and the answers are compared token for token.
The graphs are kept in build/. Unless asked, the two largest are left out; what is not asked for stays in
build/bench/seq2seq.json as it was.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deploy.lanes import generating, generation_graphs, graphs
from deploy.project import BUILD
from model_functions.engines import Tokens
from model_functions.engines.generator import Facts, GraphGenerator
from tests.benchmarks.targets import Target, targets_table
from tests.benchmarks.warm.busy import DISTURBED, Busy

READ, WRITTEN = 25, 30
RUNS = 7
TOGETHER = 8
BEAMS = {1: "greedy", 4: "4 beams"}
#: How many times as fast as ``generate`` it is to be.
FASTER = 2.0
REPORT = BUILD / "bench" / "seq2seq.json"
KEPT = BUILD / "bench" / "seq2seq"

PARAMETERS: dict[str, Any] = {
    "max_new_tokens": WRITTEN,
    "min_new_tokens": WRITTEN,
    "num_return_sequences": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0,
    "do_sample": False,
}


def marian() -> Any:
    """As opus-mt."""
    from transformers import MarianConfig, MarianMTModel

    return MarianMTModel(
        MarianConfig(
            **_sizes(6, 6, 512, 8, 2048),
            vocab_size=58101,
            max_position_embeddings=512,
            pad_token_id=58100,
            eos_token_id=0,
            decoder_start_token_id=58100,
            forced_eos_token_id=0,
            activation_function="swish",
            scale_embedding=True,
        )
    )


def t5_small() -> Any:
    return _t5(d_model=512, d_ff=2048, num_layers=6, num_heads=8)


def t5_base() -> Any:
    return _t5(d_model=768, d_ff=3072, num_layers=12, num_heads=12)


def bart_base() -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(BartConfig(**_sizes(6, 6, 768, 12, 3072), forced_bos_token_id=0))


def small100() -> Any:
    """As SMaLL-100: M2M100 with three layers that write."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    return M2M100ForConditionalGeneration(M2M100Config(**_sizes(12, 3, 1024, 16, 4096), vocab_size=128112))


ARCHITECTURES = {
    "marian": marian,
    "t5-small": t5_small,
    "t5-base": t5_base,
    "bart-base": bart_base,
    "small100": small100,
}
USUAL = ("marian", "t5-small", "bart-base")


def _sizes(encoder: int, decoder: int, width: int, heads: int, inner: int) -> dict[str, int]:
    sides = {"layers": (encoder, decoder), "attention_heads": (heads, heads), "ffn_dim": (inner, inner)}
    return {"d_model": width} | {
        f"{side}_{name}": value
        for name, values in sides.items()
        for side, value in zip(("encoder", "decoder"), values, strict=True)
    }


def _t5(**sizes: int) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(T5Config(**sizes, vocab_size=32128, decoder_start_token_id=0))


def model_of(name: str) -> Any:
    import torch

    torch.manual_seed(0)
    return ARCHITECTURES[name]().eval()


def exported(name: str, model: Any) -> generation_graphs.Exported:
    """From build/, if the code that exports has not changed since."""
    import onnx

    import tests.benchmarks.warm.seq2seq as this

    sources = (generation_graphs.__file__, graphs.__file__, str(this.__file__))
    version = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()[:12]
    folder = KEPT / f"{name}-{version}"
    parts = ("reader", "stepper")
    if not (folder / "cache.json").exists():
        found = generation_graphs.export(model)
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            onnx.save(getattr(found, part), folder / f"{part}.onnx", save_as_external_data=True, location=f"{part}.bin")
        (folder / "cache.json").write_text(json.dumps(found.cache))
    reader, stepper = (onnx.load(folder / f"{part}.onnx") for part in parts)
    return generation_graphs.Exported(
        reader, stepper, [tuple(one) for one in json.loads((folder / "cache.json").read_text())]
    )


def measure(name: str) -> dict[str, Any]:
    """Medians in milliseconds, ours and ``generate``'s taken in turns."""
    import torch

    model = model_of(name)
    reader, stepper = generating.graphs_of(exported_model := exported(name, model), half=False)
    facts = Facts(None, {}, None, {}, exported_model.cache)
    ours: Any = GraphGenerator(None, reader, stepper, generating.rules_of(model), facts)  # type: ignore[arg-type]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    texts = np.random.default_rng(0).integers(5, model.config.vocab_size - 10, (TOGETHER, READ))
    one, many = (Tokens({"input_ids": ids, "attention_mask": np.ones_like(ids)}, [], []) for ids in (texts[:1], texts))
    row: dict[str, Any] = {"model": name, "copied_mb": round(ours.copied_bytes[1] / 1e6)}
    busy = Busy()
    for beams in BEAMS:
        parameters = PARAMETERS | {"num_beams": beams}
        pair = partial(_generated, model, one, parameters), partial(ours.generate, one, parameters)
        expected, found = (run() for run in pair)
        rounds = [[_milliseconds(run) for run in pair] for _ in range(RUNS)]
        theirs_ms, ours_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
        together_ms = statistics.median(_milliseconds(partial(ours.generate, many, parameters)) for _ in range(3))
        row[f"beams_{beams}"] = {
            "generate_ms": round(theirs_ms, 1),
            "ours_ms": round(ours_ms, 1),
            "ratio": round(theirs_ms / ours_ms, 2),
            "same_tokens": found.tolist() == expected.tolist(),
            f"together_{TOGETHER}_ms": round(together_ms, 1),
            "gained_together": round(TOGETHER * ours_ms / together_ms, 2),
        }
    return row | {"others": round(busy.others(), 2)}


def _generated(model: Any, tokens: Tokens, parameters: dict[str, Any]) -> Any:
    import torch

    # What only beams use stays unset: transformers warns of it.
    unused = () if parameters["num_beams"] > 1 else ("length_penalty", "early_stopping")
    inputs = {name: torch.from_numpy(array) for name, array in tokens.arrays.items()}
    with torch.inference_mode():
        return model.generate(**inputs, **{key: value for key, value in parameters.items() if key not in unused})


def _milliseconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2])))
        return
    rows = {row["model"]: row for row in json.loads(REPORT.read_text())["rows"]} if REPORT.exists() else {}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or USUAL:
        command = [sys.executable, "-m", "tests.benchmarks.warm.seq2seq", "--one", name]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows[name] = json.loads(answer.splitlines()[-1])
        for beams in BEAMS:
            found = rows[name][f"beams_{beams}"]
            print(
                f"{name:10} beams {beams}: " + ", ".join(f"{key} {value}" for key, value in found.items()), flush=True
            )
        held = targets(list(rows.values()))
        document = {"rows": list(rows.values()), "targets": [asdict(target) for target in held]}
        REPORT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\n{targets_table(held)}\n\nmedians of {RUNS} runs, also in {REPORT.relative_to(BUILD.parent)}")
    if not all(row[f"beams_{beams}"]["same_tokens"] for row in rows.values() for beams in BEAMS):
        sys.exit("Some wrote other tokens than generate.")


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """What others disturbed is held against nothing."""
    return [
        Target(
            f"{row['model']}, {name}: ÷ generate",
            row[f"beams_{beams}"]["ratio"] if row["others"] <= DISTURBED else None,
            FASTER,
            at_least=True,
        )
        for row in rows
        for beams, name in BEAMS.items()
    ]


if __name__ == "__main__":
    main()
