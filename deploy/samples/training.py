"""Trains samples into build/samples/ and recognises a finished, up-to-date one."""

import argparse
import hashlib
import json
import re
import shutil
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from deploy.environments import own_pins
from deploy.samples import Score, ScoreTooLow, load_sample

BUILD = Path(__file__).parents[2] / "build" / "samples"
STAMP = "trained.json"

#: A model file may not load, or load with warnings, under another release of these.
FRAMEWORKS = ("scikit-learn", "tokenizers", "torch", "transformers")


def sources_digest(name: str) -> str:
    """Changes with everything that the trained sample depends on: its own files and the frameworks."""
    digest = hashlib.sha256()
    for path in _sources(name):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    for framework in FRAMEWORKS:
        digest.update(f"{framework}=={version(framework)}\n".encode())
    for package, wanted in own_pins(load_sample(name).FAMILY).items():
        digest.update(f"{package}=={wanted}\n".encode())
    return digest.hexdigest()


def _sources(name: str) -> list[Path]:
    """The sample's module, those of this package that it imports, and the word lists if it reads any."""
    here = Path(__file__).parent
    found: set[Path] = set()
    waiting = [here / f"{name}.py"]
    while waiting:
        path = waiting.pop()
        found.add(path)
        imported = re.findall(r"^from deploy\.samples\.(\w+) import", path.read_text(), re.MULTILINE)
        waiting += {here / f"{module}.py" for module in imported} - found
    # How training is started and stamped changes no model.
    found.discard(Path(__file__))
    return sorted(found) + (sorted(here.glob("words/*.txt")) if here / "word_lists.py" in found else [])


def is_trained(folder: Path, name: str) -> bool:
    """Whether ``folder`` holds the finished sample ``name``, trained from the sources as they are now."""
    stamp = _stamp(folder)
    return stamp.get("name") == name and stamp.get("sources") == sources_digest(name)


def train_sample(name: str, folder: Path, *, progress: bool = True) -> Score:
    """Trains into ``folder``, which afterwards holds the finished model only; an error leaves it as it was."""
    sources = sources_digest(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as workspace:
        finished = Path(workspace) / name
        finished.mkdir()
        score = _trained(load_sample(name), finished, progress=progress)
        stamp = {"name": name, "score": asdict(score), "sources": sources}
        (finished / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        finished.rename(folder)
    return score


def _trained(sample: ModuleType, folder: Path, *, progress: bool) -> Score:
    """How some small models end hangs on the last digits of their sums, which processors round differently: one that
    ends badly begins again, from the next of its seeds.
    """
    *first, last = [{"seed": seed} for seed in getattr(sample, "SEEDS", ())] or [{}]
    for chosen in first:
        try:
            score: Score = sample.train(folder, progress=progress, **chosen)
            return score
        except ScoreTooLow as low:
            print(f"{low} Trains again, from another seed.", file=sys.stderr, flush=True)
    final: Score = sample.train(folder, progress=progress, **last)
    return final


def ensure_trained(name: str, folder: Path, *, progress: bool = True) -> Score:
    """The score of the sample in ``folder``, which is trained first where that is needed."""
    if is_trained(folder, name):
        return Score(**_stamp(folder)["score"])
    return train_sample(name, folder, progress=progress)


def main(name: str) -> None:
    """What ``python -m deploy.samples.<name>`` does."""
    parser = argparse.ArgumentParser(
        prog=f"python -m deploy.samples.{name}",
        description=f"Trains the sample model {name} and prints its score on held-out data.",
        epilog=f"example: python -m deploy.samples.{name} /tmp/{name}",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=BUILD / name, help=f"default: build/samples/{name}")
    folder = parser.parse_args().folder
    score = train_sample(name, folder)
    print(f"{name}: {score}\nwritten to {folder}")


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads((folder / STAMP).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return stamp
