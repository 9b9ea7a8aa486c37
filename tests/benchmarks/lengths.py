"""What texts of many lengths cost OpenVINO, of every length or filled up: ``python -m tests.benchmarks.lengths``.

BERT-base with random weights; every line is of a process of its own. The first round meets each length for the first
time, the second knows them all.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from deploy.project import ROOT

#: Numbers without a pattern; each text has another length.
LENGTHS = sorted({8 + 37 * number % 249 for number in range(60)})

CHOICES = [(precision, multiple) for precision in ("fp32", "bf16") for multiple in (1, 16)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        print(f"{'':17} {'first round':>12} {'second':>12} {'grown by':>12} of {len(LENGTHS)} texts")
        for precision, multiple in CHOICES:
            command = [sys.executable, "-m", "tests.benchmarks.lengths", folder, precision, str(multiple)]
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found: dict[str, float] = json.loads(done.stdout)
            print(
                f"{precision}, by {multiple:2}       {found['first']:7.1f} ms/text {found['second']:7.1f} ms/text "
                f"{found['grown']:7.0f} MB",
                flush=True,
            )


def _prepare(folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from deploy.lanes import graphs
    from model_functions.artifact import stream
    from model_functions.engines import Tokens

    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig()).eval()
    exported = graphs.export(model, Tokens(_batch(2, 92), [], []), "logits")
    for precision in ("fp32", "bf16"):
        data = stream.dump(graphs.BUILDERS["openvino"](exported, precision))
        (folder / f"{precision}.stream").write_bytes(data.stream)
        (folder / f"{precision}.weights").write_bytes(data.weights)
        (folder / f"{precision}.layout").write_text(json.dumps([data.layout.start, data.layout.half]))


def _batch(texts: int, tokens: int) -> dict[str, Any]:
    numbers = np.full((texts, tokens), 1000)
    return {"input_ids": numbers, "attention_mask": np.ones_like(numbers), "token_type_ids": numbers * 0}


def measure(folder: Path, precision: str, multiple: int) -> dict[str, float]:
    from model_functions.artifact import stream
    from model_functions.artifact.manifest import WeightsLayout
    from model_functions.engines import Tokens
    from model_functions.engines.texts import widened

    structure, weights = ((folder / f"{precision}.{name}").read_bytes() for name in ("stream", "weights"))
    layout = WeightsLayout(*json.loads((folder / f"{precision}.layout").read_text()))
    graph: Any = stream.load_and_list(stream.Serialized(structure, weights, layout))[0]
    for tokens in (16, 256):
        graph.run(_batch(1, tokens))
    before, rounds = _resident(), []
    for _ in range(2):
        started = time.perf_counter()
        for tokens in LENGTHS:
            graph.run(widened(Tokens(_batch(1, tokens), [], []), multiple, None).arrays)
        rounds.append(1000 * (time.perf_counter() - started) / len(LENGTHS))
    return {"first": rounds[0], "second": rounds[1], "grown": (_resident() - before) / 1e6}


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
    else:
        main()
