"""Where the benchmarks keep what they make."""

from pathlib import Path

from deploy.project import BUILD, ROOT

BENCH = BUILD / "bench"
MODELS = BENCH / "models"
FUNCTIONS = BENCH / "functions"
LOGS = BENCH / "logs"
TRUST = BENCH / "trust.json"
REQUIREMENTS = BENCH / "requirements"


def shown(path: Path) -> str:
    """As a person at the project's root types it."""
    return str(path.relative_to(ROOT))
