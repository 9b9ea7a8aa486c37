"""Train the sample models and publish them; what is trained and published already stays.

The samples are deploy/samples/. The store is MODEL_STORE, else build/store.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from deploy import environments, publisher
from deploy.project import SHARED, store_location
from deploy.samples import load_sample, sample_names
from deploy.samples.training import BUILD, STAMP, ensure_trained, is_trained
from model_functions.errors import ServingError

EXAMPLE = "python -m deploy train wine_model"

#: Beside a trained sample: what was published of it, where, and from which code.
PUBLISHED = "published.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sample", nargs="*", help=f"default: all of {', '.join(sample_names())}")
    parser.add_argument("--no-publish", action="store_true", help="train only")


def run(args: argparse.Namespace) -> int | None:
    names = args.sample or sample_names()
    for name in names:
        if name not in sample_names():
            raise ValueError(f'There is no sample "{name}". There are: {", ".join(sample_names())}.')
    waiting = []
    for name in names:
        if _is_finished(name, publish=not args.no_publish):
            print(f"{name}: {ensure_trained(name, BUILD / name)}", flush=True)
        else:
            waiting.append(name)
    if len(waiting) > 1:
        return _side_by_side(waiting, args)
    return _finish(waiting[0], args) if waiting else None


def _is_finished(name: str, *, publish: bool) -> bool:
    return is_trained(BUILD / name, name) and not (publish and not _is_published(name))


def _finish(name: str, args: argparse.Namespace) -> int | None:
    """Trains and publishes what is missing of a sample, here or in its family's environment."""
    family = load_sample(name).FAMILY
    if not environments.satisfied(family):
        return environments.run(family, "deploy", "train", name, *_flags(args))
    print(f"{name}: {ensure_trained(name, BUILD / name)}", flush=True)
    if not args.no_publish and not _is_published(name):
        print(f"{name}: published as revision {publish_sample(name, BUILD / name)}", flush=True)
    return None


def _side_by_side(names: list[str], args: argparse.Namespace) -> int:
    """A process a sample, as many at a time as there are cores: each is too small to use more than one."""
    lines: Queue[int] = Queue()
    workers = os.cpu_count() or 1
    for line in range(workers):
        lines.put(line)

    def finish(name: str) -> int:
        line = lines.get()
        try:
            # Each has a line of the terminal for its progress bar.
            environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_POSITION": str(line), "TQDM_LEAVE": "0"}
            command = [sys.executable, "-m", "deploy", "train", name, *_flags(args)]
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            lines.put(line)

    with ThreadPoolExecutor(workers) as pool:
        return max(pool.map(finish, sorted(names, key=_seconds, reverse=True)))


def _seconds(name: str) -> int:
    """How long a sample takes, where it says so: the longest begin first, so that none is waited for alone."""
    seconds: int = getattr(load_sample(name), "SECONDS", 0)
    return seconds


def _flags(args: argparse.Namespace) -> list[str]:
    return ["--no-publish"] if args.no_publish else []


def publish_sample(name: str, folder: Path) -> str:
    """Publishes a trained sample as ``prod`` and returns its revision."""
    # Imported here, like the framework behind the wrapper: where all is published, a start costs nothing.
    from deploy.publish import publish

    sample = load_sample(name)
    published = publish(
        sample.wrapper(folder),
        name=name,
        description=sample.DESCRIPTION,
        examples=sample.EXAMPLES,
        repository=publisher.open_repository(),
        key=publisher.signing_key(),
        training=json.loads((folder / STAMP).read_text()),
    )
    (folder / PUBLISHED).write_text(json.dumps(_fingerprint(folder)))
    return published.manifest.revision


def _is_published(name: str) -> bool:
    folder = BUILD / name
    try:
        publisher.open_repository().resolve(load_sample(name).FAMILY, name, "prod")
        return bool(json.loads((folder / PUBLISHED).read_text()) == _fingerprint(folder))
    except (ServingError, FileNotFoundError):
        return False


def _fingerprint(folder: Path) -> dict[str, str]:
    """Changes with the store, the trained model and the code that wraps it."""
    digest = hashlib.sha256((folder / STAMP).read_bytes())
    for path in sorted(SHARED.rglob("*.py")):
        digest.update(path.read_bytes())
    return {"store": store_location(), "digest": digest.hexdigest()}
