"""Published models, each object of them changed in every way that needs no key: nothing may reach the unpickler.

Each change is met by the code that serves: a store, the loader, its downloads. For speed the store is in memory; some
go through a bucket's HTTP as well.
"""

import multiprocessing
import os
import pickle
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deploy.sources.own_wrapper import load_class
from model_functions.artifact import stream
from model_functions.artifact.manifest import PREDICTIONS_FILE, Manifest
from model_functions.artifact.signing import Trust, TrustedKey
from model_functions.errors import ArtifactRefused, ServingError
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.store import Store, open_store
from model_functions.wrapper import ModelWrapper
from tests import tiny_models
from tests.torture.fuzzing.memory_store import MemoryStore
from tests.torture.mutations import mutated
from tests.torture.part import Bar
from tests.torture.place import Place

#: Changes.
LENGTHS = {"ci": 20_000, "short": 60_000, "full": 1_050_000}
PROCESSES = 2
#: Of the changes, those of a model whose weights are several chunks, which take longest to digest.
LARGE_SHARE = 0.002
LARGE_BYTES = 1024 * 1024
#: Changes that go through the bucket's HTTP too.
BY_HTTP = 300

NOOP = Path(__file__).parents[1] / "benchmarks" / "warm" / "functions" / "noop" / "wrapper.py"


@dataclass
class Outcome:
    """What became of many changes.

    Args:
        refused: by the errors' codes.
        wrong: what was not refused, or by no error of ours; the first few.
        reached: how often the unpickler began.
    """

    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    reached: int = 0

    def add(self, other: "Outcome") -> None:
        self.refused.update(other.refused)
        self.wrong += other.wrong
        self.reached += other.reached


class Tempered:
    """Models in a store, changed one object at a time.

    Args:
        marker: a file that a planted payload would write.
    """

    def __init__(self, store: Store, key: TrustedKey, objects: dict[str, bytes], marker: Path) -> None:
        self.store, self.objects, self.marker = store, objects, marker
        self.payload = pickle.dumps(_Planted(str(marker)))
        self._loaders: dict[str, tuple[ModelLoader, Manifest]] = {}
        for name in objects:
            family, model, kind = name.split("/")[:3]
            if kind != "aliases":
                continue
            wrapper: type[ModelWrapper] = {"tabular": TabularWrapper}.get(family, TokenClassificationWrapper)
            loader = ModelLoader(Repository(store, Trust([key])), wrapper, "prod")
            self._loaders[f"{family}/{model}"] = loader, loader.resolve(model, Phases())
        served = [name for name in objects if self._serves(name)]
        # A file of a large model is not refused before the other files have been read as well.
        files = [name for name in served if not name.endswith(".json")]
        large = {_model(name) for name in files if len(objects[name]) >= LARGE_BYTES}
        self.large = [name for name in files if _model(name) in large]
        self.small = [name for name in served if name not in self.large]

    def _serves(self, name: str) -> bool:
        """Whether the object is one that a load reads."""
        _, _, kind, revision, *file = name.split("/")
        if kind == "aliases":
            return True
        manifest = self._loaders[_model(name)][1]
        return manifest.revision == revision and "/".join(file) in ("manifest.json", *manifest.files_here())

    def load(self, name: str) -> ModelWrapper:
        """Loads the model whose object this is, as a request would; for a file of it, no document is read again."""
        loader, manifest = self._loaders[_model(name)]
        if name.endswith(("/manifest.json", "/prod.json")):
            manifest = loader.resolve(manifest.name, Phases())
        return loader.load(manifest, Phases())

    def attempt(self, name: str, data: bytes, put: Any) -> ServingError | None:
        """The refusal of the changed object; None if there is none."""
        put(name, data)
        try:
            self.load(name)
        except ArtifactRefused as exc:
            return exc
        finally:
            put(name, self.objects[name])
        return None


def _model(name: str) -> str:
    return "/".join(name.split("/")[:2])


@dataclass
class _Planted:
    """What somebody who can write to the store would like to be loaded."""

    marker: str

    def __reduce__(self) -> Any:
        return open, (self.marker, "w")


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """Counts how often an unpickler is made by our code, and how often any unpickler looks for a global."""
    counts: Counter[str] = Counter()
    watching, own = True, threading.get_ident()

    def hook(event: str, _: Any) -> None:
        if watching and event == "pickle.find_class" and threading.get_ident() == own:
            counts["globals"] += 1

    original = stream._Unpickler

    class Watched(original):  # type: ignore[misc, valid-type]
        def load(self) -> Any:
            counts["loads"] += 1
            return super().load()

    sys.addaudithook(hook)
    stream._Unpickler = Watched  # type: ignore[misc]
    try:
        yield counts
    finally:
        watching = False
        stream._Unpickler = original  # type: ignore[misc]


def run(length: str, place: Place) -> list[Bar]:
    objects = _published(place)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        share = LENGTHS[length] // PROCESSES
        outcome = Outcome()
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, spawn) as pool:
            jobs = [pool.submit(_changed, objects, place.trusted, folder, share, seed) for seed in range(PROCESSES)]
            for job in jobs:
                outcome.add(job.result())
        took = time.monotonic() - began
        by_http = _changed_in_bucket(place, objects, Path(folder), BY_HTTP if length != "ci" else BY_HTTP // 10)
        written = list(Path(folder).iterdir())
    count = outcome.refused.total() + len(outcome.wrong)
    codes = ", ".join(f"{code} {number:,}" for code, number in outcome.refused.most_common())
    return [
        Bar(
            "changes of published models",
            f"{LENGTHS[length]:,}",
            f"{count:,} in {took:.0f} s",
            count >= LENGTHS[length],
        ),
        Bar("refused by a declared error", "all", f"{codes}; {_told(outcome.wrong)}", not outcome.wrong),
        Bar("unpicklers begun", "0", str(outcome.reached), outcome.reached == 0),
        Bar("payloads run", "0", str(len(written)), not written),
        Bar(
            "changes in a bucket, by HTTP",
            "all refused, 0 unpicklers",
            f"{by_http.refused.total()} refused, {by_http.reached} unpicklers; {_told(by_http.wrong)}",
            not by_http.wrong and by_http.reached == 0,
        ),
    ]


def _told(wrong: list[str]) -> str:
    return f"{len(wrong)} not: {'; '.join(wrong[:3])}" if wrong else "0 not"


def _changed(objects: dict[str, bytes], key: TrustedKey, folder: str, count: int, seed: int) -> Outcome:
    """In a process of its own: changes objects in memory, and loads."""
    store = MemoryStore(dict(objects))
    tempered = Tempered(store, key, objects, Path(folder) / "marker")
    chance = random.Random(seed)
    with watched() as counts:
        for name in [*tempered.small, *tempered.large]:
            tempered.load(name)
        assert min(counts["loads"], counts["globals"]) > 0, "the watch sees nothing"
        counts.clear()
        outcome = Outcome()
        for _ in range(count):
            name = chance.choice(tempered.large if chance.random() < LARGE_SHARE else tempered.small)
            _attempt(tempered, name, store.objects.__setitem__, chance, outcome)
        outcome.reached = counts.total()
    return outcome


def _changed_in_bucket(place: Place, objects: dict[str, bytes], folder: Path, count: int) -> Outcome:
    tempered = Tempered(open_store("gs://models"), place.trusted, objects, folder / "marker")
    chance, outcome = random.Random(count), Outcome()
    with watched() as counts:
        for _ in range(count):
            _attempt(tempered, chance.choice(tempered.small), place.bucket.put, chance, outcome)
        outcome.reached = counts.total()
    return outcome


def _attempt(tempered: Tempered, name: str, put: Any, chance: random.Random, outcome: Outcome) -> None:
    data = mutated(name, tempered.objects, tempered.payload, chance)
    try:
        refusal = tempered.attempt(name, data, put)
    except Exception as exc:  # noqa: BLE001 - what is no refusal is what is looked for
        outcome.wrong.append(f"{name}: {type(exc).__name__}: {exc}"[:200])
        return
    if refusal is None:
        outcome.wrong.append(f"{name}: not refused")
    else:
        outcome.refused[refusal.code] += 1


def _published(place: Place) -> dict[str, bytes]:
    """Several models of two families, one of them in two revisions, one with a source file, one of several chunks."""
    from sklearn.neighbors import KNeighborsClassifier

    row = [0.5, 1.0, 2.0]
    classifier = TabularWrapper.from_estimator(tiny_models.classifier(), row)
    for description in ("the first", "the second"):
        place.publish("small", classifier, [row], description=description)
    own: Any = load_class(str(NOOP))
    place.publish("words", own.from_source(""), ["hello"])
    rows = np.random.default_rng(0).normal(size=(400_000, 3))
    place.publish(
        "large",
        TabularWrapper.from_estimator(KNeighborsClassifier(algorithm="brute").fit(rows, rows[:, 0] > 0), row),
        [row],
    )
    with tempfile.TemporaryDirectory() as folder:
        tagger = TokenClassificationWrapper.from_source(str(tiny_models.tagger_folder(Path(folder))))
    place.publish("tagger", tagger, [tiny_models.TEXT])
    names = ("tabular/small", "tabular/words", "tabular/large", "token_classification/tagger")
    return {
        name: place.bucket.data(name)
        for name in place.bucket.names()
        if name.startswith(names) and not name.endswith(PREDICTIONS_FILE)
    }


os.environ.setdefault("OMP_NUM_THREADS", "1")
