"""What a process tree has used of the processor."""

import os
from pathlib import Path

from tests.benchmarks.memory import tree

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    """User and system time of the process and all below it."""
    return sum(cpu_seconds(process) for process in tree(pid))


def cpu_seconds(pid: int) -> float:
    try:
        # The second field is the program's name in brackets, which may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S
