"""The project's sample models: small, trained here on data that the project makes, each with a held-out score."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType


class ScoreTooLow(ValueError):
    """A trained sample is worse on held-out data than its module promises."""


@dataclass(frozen=True)
class Score:
    """How good a sample model is on data that its training never saw."""

    metric: str
    value: float
    minimum: float
    held_out: int
    """How many examples the value was measured on."""
    unit: str = "examples"

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.3f} on {self.held_out:,} held-out {self.unit} (minimum {self.minimum:.2f})"

    def require(self) -> "Score":
        """Returns the score itself, or raises if it is below its minimum."""
        if self.value < self.minimum:
            raise ScoreTooLow(f"{self}: too low to serve. Look at the latest change of the data or the training.")
        return self


def sample_names() -> list[str]:
    """The names of all samples: the modules here that name the family which serves them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\nFAMILY = " in path.read_text())


def load_sample(name: str) -> ModuleType:
    """The sample's module: FAMILY, DESCRIPTION, EXAMPLES, train(), wrapper(); SECONDS where training is long, and
    SEEDS where it may end badly."""
    if name not in sample_names():
        raise LookupError(f'No sample is called "{name}". There are: {", ".join(sample_names())}.')
    return import_module(f"{__name__}.{name}")
