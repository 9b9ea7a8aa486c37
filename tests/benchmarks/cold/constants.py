"""Measures what the limit is made of: bare scripts beside the very bucket, in the same run."""

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.bucket_process import BUCKET
from tests.benchmarks.cold.limits import Constants
from tests.benchmarks.cold.places import PROBES
from tests.benchmarks.places import BENCH

#: What a lane cannot do without, by the engine that its manifest names.
IMPORTS = {
    "torch": ("import torch", "from transformers import BertForTokenClassification, BertTokenizer"),
    "openvino": ("import numpy", "import tokenizers", "import openvino"),
    "onnxruntime": ("import numpy", "import tokenizers", "import onnxruntime"),
}
#: Seconds, where the header does not tell imports from loading: an unpickled skeleton over given bytes.
WIRE_S = 0.004


def constants(
    python: Path,
    engine: str,
    bucket_url: str,
    objects: Mapping[str, int],
    boot: float,
    phases: Mapping[str, float],
    runs: int,
) -> Constants:
    """Medians of so many runs.

    Args:
        python: of the lane's own environment.
        objects: bytes of each object that a cold start reads.
        boot: seconds of the function that does nothing.
        phases: milliseconds of the contender's own first request.
    """
    url = urlsplit(bucket_url)
    asked = json.dumps({"host": url.hostname, "port": url.port, "bucket": BUCKET, "objects": objects})
    downloads = [_script(python, "download.py", given=asked) for _ in range(runs)]
    imports = [_script(python, "imports.py", *IMPORTS[engine]) for _ in range(runs)]
    stored = sum(objects.values())
    return Constants(
        boot=boot,
        round_trip=_median(downloads, "round_trip"),
        stored=stored,
        rate=stored / _median(downloads, "wall"),
        receiving_cpu=_median(downloads, "cpu") / stored,
        import_cpu=_median(imports, "cpu"),
        import_wall=_median(imports, "wall"),
        wire=phases["load"] / 1000 if "import" in phases else WIRE_S,
        first=phases.get("infer", 0.0) / 1000,
    )


def _script(python: Path, name: str, *arguments: str, given: str = "") -> dict[str, float]:
    command = [str(python), str(PROBES / name), *arguments]
    result = subprocess.run(command, cwd=BENCH, input=given, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(result.stdout)
    return measured


def _median(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)
