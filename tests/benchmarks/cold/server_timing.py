"""Reads a Server-Timing header, whatever phases it has."""

import re

TOTAL = "total"


def parsed(header: str) -> dict[str, float]:
    """Milliseconds by phase, in the header's order; the sum of all is left out."""
    entries = re.findall(r"([^\s;,]+)\s*;\s*dur=([0-9.]+)", header)
    return {name: float(duration) for name, duration in entries if name != TOTAL}
