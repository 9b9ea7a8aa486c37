"""A part of a project: how it is read, how it differs from what it should be, and the commands that set that right."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from deploy.cloud.sdk import Gcloud


@dataclass(frozen=True)
class Step:
    """One command that brings the project nearer to what it should be.

    Args:
        what: it is about, as ``the bucket gs://acme-models``.
        state: that it is in, as ``missing``.
        command: of gcloud, that changes it.
    """

    what: str
    state: str
    command: tuple[str, ...]

    @property
    def changes_policy(self) -> bool:
        return any(word.endswith("-iam-policy-binding") for word in self.command)

    @property
    def told(self) -> str:
        """When it has been done."""
        match self.state:
            case "missing":
                return f"made {self.what}"
            case "off":
                return f"switched on {self.what}"
        return f"set right {self.what}, which had: {self.state}"


class Part(ABC):
    """What is read by one command.

    Args:
        name: for messages.
        is_ordered: whether a step must wait for the one before it.
    """

    name: str
    is_ordered = True

    @abstractmethod
    def read(self, gcloud: Gcloud) -> Any:
        """The state as gcloud tells it; None for nothing."""

    @abstractmethod
    def steps(self, state: Any) -> list[Step]:
        """From that state to the right one; none where it is right."""

    def notes(self, state: Any) -> list[str]:
        """What is not as it should be, and no command changes."""
        return []
