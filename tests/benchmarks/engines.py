"""Each engine and precision on encoders of several sizes: ``python -m tests.benchmarks.engines``.

Every figure is of a process of its own, so that starts are cold; random weights, one text of 92 tokens.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TOKENS = 92
RUNS = 20

#: Width, layers and heads.
SIZES = {"BERT-base": (768, 12, 12), "MiniLM-L6": (384, 6, 12), "small": (256, 4, 4)}

#: Engines with the precisions that ``publish`` can give them.
CHOICES = [("onnxruntime", "fp16"), ("onnxruntime", "fp32")]
CHOICES += [("openvino", precision) for precision in ("fp32", "bf16", "int8", "int8-weights")]


def main() -> None:
    print(
        f"{'model':12} {'engine':20} {'stored':>7} {'import':>7} {'load':>7} {'first':>7} {'warm':>8} {'peak':>7} apart"
    )
    for name in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            _prepare(name, Path(folder))
            for engine, precision in CHOICES:
                command = [sys.executable, "-m", "tests.benchmarks.engines", folder, f"{engine}.{precision}"]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found: dict[str, float] = json.loads(done.stdout)
                print(
                    f"{name:12} {engine + ' ' + precision:22} {found['stored']:4.0f} MB {found['import']:4.0f} ms "
                    f"{found['load']:4.0f} ms {found['first']:4.0f} ms {found['warm']:5.1f} ms {found['peak']:4.0f} MB "
                    f"{found['apart']:.1e}",
                    flush=True,
                )


def _prepare(name: str, folder: Path) -> None:
    """Every engine's graph of the model as publish stores it, with an input and what torch answers."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from deploy.lanes import graphs
    from model_functions.artifact import stream
    from model_functions.engines import Tokens

    width, layers, heads = SIZES[name]
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width
    )
    model = BertForSequenceClassification(config).eval()
    numbers = torch.randint(0, config.vocab_size, (1, TOKENS)).numpy()
    arrays = {"input_ids": numbers, "attention_mask": np.ones_like(numbers), "token_type_ids": numbers * 0}
    twice = {key: np.repeat(array, 2, axis=0) for key, array in arrays.items()}
    with torch.no_grad():
        answer = model(**{key: torch.from_numpy(array) for key, array in arrays.items()}).logits.numpy()
    for key, array in {"answer": answer, **arrays}.items():
        np.save(folder / f"{key}.npy", array)
    exported = graphs.export(model, Tokens(twice, [], []), "logits")
    for engine, precision in CHOICES:
        data = stream.dump(graphs.BUILDERS[engine](exported, precision))
        (folder / f"{engine}.{precision}.stream").write_bytes(data.stream)
        (folder / f"{engine}.{precision}.weights").write_bytes(data.weights)
        (folder / f"{engine}.{precision}.layout").write_text(json.dumps([data.layout.start, data.layout.half]))


def measure(folder: Path, choice: str) -> dict[str, float]:
    from deploy.lanes import apart
    from model_functions.artifact import stream
    from model_functions.artifact.manifest import WeightsLayout

    started = time.perf_counter()
    __import__(f"model_functions.engines.{choice.partition('.')[0]}")
    imported = time.perf_counter()
    weights, layout = folder / f"{choice}.weights", folder / f"{choice}.layout"
    files = stream.Serialized(
        (folder / f"{choice}.stream").read_bytes(), weights.read_bytes(), WeightsLayout(*json.loads(layout.read_text()))
    )
    read = time.perf_counter()
    graph: Any = stream.load_and_list(files)[0]
    loaded = time.perf_counter()
    case = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    expected, times = case.pop("answer"), []
    for _ in range(RUNS):
        before = time.perf_counter()
        found = graph.run(case)
        times.append(time.perf_counter() - before)
    return {
        "stored": weights.stat().st_size / 1e6,
        "import": 1000 * (imported - started),
        "load": 1000 * (loaded - read),
        "first": 1000 * times[0],
        "warm": 1000 * float(np.median(times[1:])),
        # The file's bytes are beside their copy in memory; an instance has them only once.
        "peak": _peak() / 1e6 - weights.stat().st_size / 1e6,
        "apart": apart(expected, found),
    }


def _peak() -> int:
    """Bytes of this process at its peak; what the system counts of it would take in whoever started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
    else:
        main()
