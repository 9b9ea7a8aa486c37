"""A worker process of a job on this machine: Beam's own, on its share of the cores, gone when the job's process is."""

import ctypes
import logging
import os
import shlex
import signal
import sys
import warnings

from deploy import beside

#: Variables: how many there are, for those who share the machine's cores, and, as Beam says it, which one this is.
WORKERS, _NUMBER = "BATCH_WORKERS", "WORKER_ID"

#: Linux' number (prctl.h).
_PR_SET_PDEATHSIG = 1


def command() -> str:
    behind = os.environ.get(beside.PACKAGES)
    modules = ["deploy.beside", behind, "deploy.batch.worker"] if behind else ["deploy.batch.worker"]
    # Without a shell in between, which would outlive the job.
    return f"exec {shlex.join([sys.executable, '-m', *modules])}"


def take_cores(number: int, workers: int) -> None:
    """Engines start a thread for each core that they see: together the workers have as many as there are cores."""
    mine = sorted(os.sched_getaffinity(0))
    if 1 < workers <= len(mine):
        os.sched_setaffinity(0, mine[number % workers :: workers])


def end_with_the_job() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def be_quiet() -> None:
    """Beam tells at every start what it has not found, and of its own options that it does not know."""
    warnings.simplefilter("ignore")
    logging.getLogger().addFilter(lambda record: record.levelno >= logging.ERROR)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    logging.basicConfig(level=logging.ERROR, handlers=[handler])


def main() -> None:
    end_with_the_job()
    take_cores(int(os.environ[_NUMBER].rpartition("_")[2]), int(os.environ.get(WORKERS, "1")))
    be_quiet()
    # Imported here: what it imports starts threads, on the cores that there are by then.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
