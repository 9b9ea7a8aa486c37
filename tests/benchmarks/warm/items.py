"""What is asked, and what the right answer is."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.warm.places import ITEMS


@dataclass(frozen=True)
class Item:
    """One request's data.

    Args:
        label: the first of the right answer; none for the model that answers its input.
        score: the label's probability, as torch or scikit-learn has it in full precision.
    """

    data: Any
    label: str | None = None
    score: float = 0.0


def write(items: dict[str, list[Item]]) -> None:
    """Args: by the kind of data."""
    document = {kind: [asdict(item) for item in some] for kind, some in items.items()}
    staging = ITEMS.with_suffix(".part")
    staging.write_text(json.dumps(document))
    staging.rename(ITEMS)


def read() -> dict[str, list[Item]]:
    return {kind: [Item(**item) for item in some] for kind, some in json.loads(ITEMS.read_text()).items()}
