"""The verbs of a publisher and an operator; nothing here ever runs inside a function."""

import sys
from pathlib import Path

# The project is cloned and not installed, so the shared package is found where it stands.
_SHARED = str(Path(__file__).resolve().parent.parent / "shared")
if _SHARED not in sys.path:
    sys.path.insert(0, _SHARED)
