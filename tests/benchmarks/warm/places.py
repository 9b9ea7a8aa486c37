"""Where the warm benchmark keeps what it makes."""

from pathlib import Path

from tests.benchmarks.places import BENCH, MODELS

CLASSIFIER = MODELS / "text_classifier"
TUTORIAL_FILE = MODELS / "text_classifier.dill"
WINE_FILE = MODELS / "wine.joblib"
ITEMS = MODELS / "items.json"

PEERS = Path(__file__).parent / "peers"
NOTHING = Path(__file__).parent / "nothing.py"

REPORT = BENCH / "warm.json"
PLOT = BENCH / "warm.svg"
