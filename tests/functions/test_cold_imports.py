"""What a function imports before it has loaded a model."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Belongs to a model, a bucket, or the gateway's calls; a function that waits for its first request needs none of it.
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "sklearn",
    "scipy",
    "pandas",
    "joblib",
    "google.cloud.storage",
    "google.auth",
)


@pytest.mark.parametrize("family", sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py")))
def test_a_waiting_function_has_imported_nothing_heavy(family: str) -> None:
    code = "import sys, main; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT / 'functions' / family}:{ROOT / 'shared'}", "MODEL_STORE": "gs://models"},
        check=True,
        capture_output=True,
        text=True,
    )
    imported = set(done.stdout.split())
    assert not imported & set(HEAVY)
    assert family == "gateway" or "urllib3" not in imported
