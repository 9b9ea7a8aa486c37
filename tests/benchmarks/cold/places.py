"""Where the cold benchmark keeps what it makes."""

from pathlib import Path

from tests.benchmarks.places import BENCH, MODELS

TUTORIAL_FILE = MODELS / "tutorial.dill"

PEERS = Path(__file__).parent / "peers"
PROBES = Path(__file__).parent / "probes"

REPORT = BENCH / "cold.json"
PLOT = BENCH / "cold.svg"
