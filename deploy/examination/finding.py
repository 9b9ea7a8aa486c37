"""What the doctor found out about one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """Args: mended_by: commands, where there are."""

    what: str
    verdict: Verdict
    told: str
    mended_by: tuple[str, ...] = ()
