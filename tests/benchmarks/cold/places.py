"""Where the benchmark keeps what it makes."""

from pathlib import Path

from deploy.project import BUILD, ROOT

BENCH = BUILD / "bench"
MODELS = BENCH / "models"
FUNCTIONS = BENCH / "functions"
LOGS = BENCH / "logs"
TRUST = BENCH / "trust.json"
TUTORIAL_FILE = MODELS / "tutorial.dill"

PEERS = Path(__file__).parent / "peers"
PROBES = Path(__file__).parent / "probes"

REPORT = BENCH / "cold.json"
PLOT = BENCH / "cold.svg"


def shown(path: Path) -> str:
    """As a person at the project's root types it."""
    return str(path.relative_to(ROOT))
