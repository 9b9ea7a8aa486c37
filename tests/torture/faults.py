"""Every fault of a bucket at every stage of a cold load, once and always, and what else can go wrong around one.

A load ends well, or with an honest 503 in bounded time; either way nothing of it stays behind, and what recovers has
fetched hardly more than the model.
"""

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from model_functions import memory
from model_functions.artifact.manifest import CHUNK_SIZE, Manifest
from model_functions.artifact.signing import Trust
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import ArtifactRefused, ModelNotFound, ObjectNotFound, ServingError, StoreUnavailable
from model_functions.families.tabular import TabularWrapper
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.store import Store
from model_functions.store.bucket import BucketStore, Patience
from model_functions.store.credentials import AccessTokens, metadata_token
from tests.fakes.bucket import Call, FakeBucket
from tests.fakes.metadata import FakeMetadataServer
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.processes import (
    killed,
    killed_workers,
    private_temporary,
    temporary,
    without_disk,
    without_room,
)
from tests.torture.weighty import publish_weighty

#: The share of the cells of the matrix that is tried.
LENGTHS = {"ci": 0.1, "short": 0.17, "full": 1.0}

#: Loads that are killed, each at another point.
KILLS = {"ci": 1, "short": 3, "full": 20}

#: A tenth of what a function has, for hundreds of faults that are waited for; the full length tries that too.
HASTY = Patience(pause=0.02, connect=0.3, answer=0.3, read=0.5)
#: For what is no matter of the bounded time: threads that must be scheduled, on a machine that does other things.
SLACK_S = 1.0

#: What the bucket, which is in this process too, may open and close meanwhile.
SPARE_DESCRIPTORS = 2

SIZE = 2 * CHUNK_SIZE + CHUNK_SIZE // 4
GIB = 2**30

STAGES = {
    "alias": "*/aliases/*",
    "manifest": "*/manifest.json",
    "wrapper": "*/wrapper.dill",
    "weights": "*/weights.safetensors",
    "file": "*/source/*",
}

#: What happens to an answer, by name; the middle of it is put in by ``_effects``.
FAULTS: dict[str, dict[str, Any]] = {
    "reset at once": {"cut": 0},
    "reset after a byte": {"cut": 1},
    "reset in the middle": {"cut": "middle"},
    "reset before the end": {"cut": "end"},
    "stall at once": {"stall": (0, 60.0)},
    "stall in the middle": {"stall": ("middle", 60.0)},
    "truncated": {"truncate": "middle"},
    "truncated, its length too": {"truncate": "middle", "declare_truncated": True},
    "empty": {"truncate": 0, "declare_truncated": True},
    "corrupt": {"corrupt": "middle"},
    "corrupt, no hash": {"corrupt": "middle", "drop_hash": True},
    "no hash": {"drop_hash": True},
    "packed on its way": {"gzip": True},
    "401": {"status": 401},
    "403": {"status": 403},
    "404": {"status": 404},
    "408": {"status": 408},
    "412": {"status": 412},
    "429": {"status": 429},
    "500": {"status": 500},
    "503": {"status": 503},
    "late": {"latency": 0.05},
    "too late": {"latency": 60.0},
    "slow": {"bandwidth": 20_000_000.0},
    "too slow": {"bandwidth": 1000.0},
    "in slices": {"slice": 4000},
    "black hole": {"black_hole": True},
    "refused": {"refused": True},
    "swapped": {"swap": b"another generation"},
}
#: An answer that is late, slow or in slices is a good one.
HARMLESS = {"no hash", "late", "slow", "in slices"}
#: Of which a reader may believe that they will stay: no second attempt is made.
FINAL = {"too slow", "empty", "401", "403", "404", "412", "packed on its way", "swapped", "corrupt, no hash"}

DECLARED = (StoreUnavailable, ObjectNotFound, ArtifactRefused, ModelNotFound)


@dataclass
class Findings:
    """What the cells of the matrix came to: how many, and what was wrong with which."""

    cells: int = 0
    recovered: int = 0
    refused: int = 0
    not_clean: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    greedy: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Of the refusals, in parts of what each may take."""
    most_bytes: float = 0.0
    """That a load which recovered has fetched, in parts of the model's."""


class Matrix:
    """Cold loads of one model, each from a store and a cache of its own.

    Args:
        patience: of the store.
    """

    def __init__(self, place: Place, manifest: Manifest, patience: Patience) -> None:
        self.place, self.manifest, self.patience = place, manifest, patience
        self.findings = Findings()
        self._ahead = 0.0
        """Seconds by which the caches' clock is ahead: that a failure is remembered is not waited for."""
        self._objects = {name: place.bucket.data(name) for name in place.bucket.names() if "/weighty/" in name}
        served = [f"tabular/weighty/revisions/{manifest.revision}/{file}" for file in manifest.files_here()]
        documents = [name for name in self._objects if name.endswith(("/prod.json", "/manifest.json"))]
        self.bytes = sum(len(self._objects[name]) for name in [*served, *documents])

    def cell(self, fault: str, stage: str, times: int | None) -> None:
        """One load with the fault, then one without it."""
        what = f"{fault}, {'once' if times else 'always'}, {stage}"
        self.findings.cells += 1
        before = Left.now(self.place)
        cache = self._cache(BucketStore.at("gs://models", self.patience))
        with self._broken(fault, stage, times):
            began, sent = time.monotonic(), len(self.place.bucket.calls)
            error = _error_of(cache)
            took = time.monotonic() - began
            fetched = sum(call.sent for call in self.place.bucket.calls[sent:])
        if error is None:
            self._judge_success(what, fault, times, fetched)
        else:
            self._judge_refusal(what, fault, stage, times, error, took, cache)
        left = "" if error is None else self._accounted(cache)
        # What they refer to, a traceback's frames too, would not be left.
        del cache, error
        if left := left or self._left(before, self._bound(stage)):
            self.findings.left.append(f"{what}: {left}")

    def _cache(self, store: Store) -> ModelCache:
        loader = ModelLoader(Repository(store, Trust([self.place.trusted])), TabularWrapper, "prod")
        return ModelCache(loader, MemoryBudget(2 * GIB, 0), lambda: time.monotonic() + self._ahead)

    @contextmanager
    def _broken(self, fault: str, stage: str, times: int | None) -> Iterator[None]:
        bucket = self.place.bucket
        effect = _effects(FAULTS[fault], min(len(self._object_of(stage)), CHUNK_SIZE))
        if effect.pop("refused", False):
            with _refused(bucket, STAGES[stage], for_s=0.1 if times else 10.0):
                yield
        else:
            bucket.fault("read", STAGES[stage], times=times, **effect)
            yield
        bucket.heal()
        for name, data in self._objects.items():
            if bucket.data(name) != data:
                bucket.put(name, data)

    def _object_of(self, stage: str) -> bytes:
        part = STAGES[stage].strip("*")
        return next(data for name, data in self._objects.items() if part in name and _is_of(name, self.manifest))

    def _judge_success(self, what: str, fault: str, times: int | None, fetched: int) -> None:
        self.findings.recovered += 1
        # A chunk is fetched again that is corrupt; and what was on its way to all when every connection was reset.
        again = CHUNK_SIZE if fault.startswith(("corrupt", "packed", "refused")) else 0
        share = (fetched - again) / self.bytes
        self.findings.most_bytes = max(self.findings.most_bytes, share)
        if share > 1.1:
            self.findings.greedy.append(f"{what}: {fetched} of {self.bytes} bytes")

    def _judge_refusal(
        self, what: str, fault: str, stage: str, times: int | None, error: Any, took: float, cache: ModelCache
    ) -> None:
        self.findings.refused += 1
        clean = isinstance(error, DECLARED) and (error.status == 503 or isinstance(error, ModelNotFound))
        if isinstance(error, StoreUnavailable):
            clean = clean and int(error.headers.get("Retry-After", 0)) > 0
        if not clean:
            self.findings.not_clean.append(f"{what}: {type(error).__name__}: {error}"[:200])
        if fault in HARMLESS or (times is not None and fault not in FINAL):
            self.findings.not_clean.append(f"{what} was not overcome: {error}"[:200])
        bound = self._bound(stage)
        self.findings.slowest = max(self.findings.slowest, took / bound)
        if took > bound:
            self.findings.late.append(f"{what}: {took:.2f} s")

    def _bound(self, stage: str) -> float:
        """Seconds in which a load must have given up, and in which its threads must then have ended."""
        patience = self.patience
        if stage in ("alias", "manifest"):
            return 2 * patience.read + SLACK_S
        return 2 * patience.read + patience.answer + patience.connect + SLACK_S

    def _accounted(self, cache: ModelCache) -> str:
        """What the cache still knows of a load that failed."""
        if cache.memory_used or cache.loaded():
            return f"{cache.memory_used} bytes are accounted for"
        error = self._healed(cache)
        return "" if error is None else f"the next load fails too: {error}"

    def _left(self, before: "Left", within_s: float) -> str:
        """What stays of a load, once its threads have had the time to end."""
        # A load keeps from the collector what it finds, our own cycles too.
        memory.reclaim()
        deadline = time.monotonic() + within_s + SLACK_S
        while (found := Left.now(self.place).beyond(before)) and time.monotonic() < deadline:
            memory.reclaim()
            time.sleep(0.01)
        return found

    def _healed(self, cache: ModelCache) -> Any:
        """The error of a load with nothing in its way, once the cache tries again."""
        self._ahead += 2
        deadline = time.monotonic() + 5
        while (error := _error_of(cache)) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        return error


@dataclass(frozen=True)
class Left:
    """What a load could leave behind in this process, and on its disk."""

    threads: frozenset[str]
    descriptors: int
    files: frozenset[str]

    @classmethod
    def now(cls, place: Place) -> "Left":
        threads = (f"{thread.name} {thread.ident}" for thread in threading.enumerate())
        own = frozenset(name for name in threads if name.startswith(("download", "bucket")))
        # The bucket is in this process too.
        descriptors = len(os.listdir("/proc/self/fd")) - place.bucket.connections  # noqa: PTH208 - names, not paths
        return cls(own, descriptors, temporary())

    def beyond(self, before: "Left") -> str:
        threads, files = self.threads - before.threads, self.files - before.files
        descriptors = self.descriptors - before.descriptors
        found = [f"threads {sorted(threads)}"] if threads else []
        found += [f"{descriptors} descriptors"] if descriptors > SPARE_DESCRIPTORS else []
        return ", ".join([*found, *([f"files {sorted(files)}"] if files else [])])


def run(length: str, place: Place) -> list[Bar]:
    # Each failure is logged with its traceback.
    logging.disable()
    try:
        with private_temporary(place.folder / "temporary"):
            return _bars_of(length, place)
    finally:
        logging.disable(logging.NOTSET)


def _bars_of(length: str, place: Place) -> list[Bar]:
    manifest = publish_weighty(place, "weighty", 7, SIZE).manifest
    matrix = Matrix(place, manifest, HASTY)
    cells = [(fault, stage, times) for fault in FAULTS for stage in STAGES for times in (1, None)]
    chosen = random.Random(0).sample(cells, round(LENGTHS[length] * len(cells)))
    for cell in chosen:
        matrix.cell(*cell)
    bars = _bars(matrix.findings, "")
    if length == "full":
        patient = Matrix(place, manifest, Patience())
        for cell in [(f, s, None) for f in ("503", "stall in the middle", "black hole", "too slow") for s in STAGES]:
            patient.cell(*cell)
        bars += _bars(patient.findings, ", with the patience of a function")
    bars += [*_credentials(place), _unreachable(place), _misfits(place, manifest)]
    bars += [killed(place, KILLS[length]), killed_workers(place)]
    return [*bars, without_disk(place), without_room(place), _clocks(place)]


def _bars(found: Findings, where: str) -> list[Bar]:
    clean = f"{found.recovered} loaded, {found.refused} refused"
    return [
        _bar(f"{found.cells} faults{where}", "loaded, or an honest 503", clean, found.not_clean),
        _bar(f"refusals{where}", "in bounded time", f"the slowest took {found.slowest:.2f} of it", found.late),
        _bar(f"left behind{where}", "nothing", "nothing", found.left),
        _bar(f"bytes of a load that recovers{where}", "≤ 1.1 ×", f"{found.most_bytes:.3f} ×", found.greedy),
    ]


def _bar(what: str, bound: str, value: str, wrong: list[str]) -> Bar:
    return Bar(what, bound, f"{len(wrong)}: {'; '.join(wrong[:4])}" if wrong else value, not wrong)


def _error_of(cache: ModelCache) -> Exception | None:
    try:
        with cache.use("weighty", Phases()) as model:
            assert model.wrapper.predict("x") == "7 x"
    except Exception as exc:  # noqa: BLE001 - which one it is, is what is looked at
        return exc
    return None


def _is_of(name: str, manifest: Manifest) -> bool:
    return "/aliases/" in name or manifest.revision in name


def _effects(effect: dict[str, Any], size: int) -> dict[str, Any]:
    places = {"middle": size // 2, "end": size - 1}

    def placed(value: Any) -> Any:
        return places.get(value, value) if isinstance(value, str) else value

    return {
        name: tuple(map(placed, value)) if isinstance(value, tuple) else placed(value) for name, value in effect.items()
    }


@contextmanager
def _refused(bucket: FakeBucket, name: str, for_s: float) -> Iterator[None]:
    """From the first request for such an object on, nobody listens for some time."""
    ended, began, down = threading.Event(), threading.Event(), threading.Event()
    waiting: list[threading.Thread] = []

    def refuse() -> None:
        bucket.refuse()
        down.set()
        ended.wait(for_s)
        bucket.listen()

    def on_call(call: Call) -> None:
        if fnmatchcase(call.object, name) and not began.is_set():
            began.set()
            waiting.append(threading.Thread(target=refuse))
            waiting[0].start()
            down.wait()

    bucket.on_call = on_call
    try:
        yield
    finally:
        bucket.on_call = lambda _: None
        ended.set()
        for thread in waiting:
            thread.join()


def _credentials(place: Place) -> list[Bar]:
    """Tokens that end, and a metadata server that is gone or says nothing: warm models answer all the same."""
    wrong: list[str] = []
    with FakeBucket("models", required_token="first") as bucket, _environment("GCE_METADATA_HOST") as point_at:
        for name in place.bucket.names():
            bucket.put(name, place.bucket.data(name))

        def cold() -> ModelCache:
            store = BucketStore(bucket.url, "models", "", AccessTokens(metadata_token))
            loader = ModelLoader(Repository(store, Trust([place.trusted])), TabularWrapper, "prod")
            return ModelCache(loader, MemoryBudget(2 * GIB, 0))

        with FakeMetadataServer(access_token="first") as server:
            point_at(server.host)
            warm, other = cold(), cold()
            _expect(wrong, "a good token", _error_of(warm), None)
        bucket.required_token = "second"
        with FakeMetadataServer(access_token="second") as server:
            point_at(server.host)
            _expect(wrong, "a token that ended", _error_of(other), None)
        took = []
        for what in ("gone", "silent"):
            with _silent() as silent:
                point_at(silent if what == "silent" else "127.0.0.1:1")
                began = time.monotonic()
                _expect(wrong, f"a metadata server that is {what}", _error_of(cold()), StoreUnavailable)
                took.append(time.monotonic() - began)
                _expect(wrong, f"a warm model, the metadata server {what}", _error_of(warm), None)
    bound = Patience().read
    return [
        _bar("tokens that end, metadata server gone", "warm serves, cold 503", "so it is", wrong),
        Bar("503 without a token", f"≤ {bound:.0f} s", f"{max(took):.2f} s", max(took) <= bound + SLACK_S),
    ]


def _clocks(place: Place) -> Bar:
    """A clock that is ten minutes off, and one that jumps by hours: loads, tokens and refusals go by another one."""
    wrong: list[str] = []
    real = time.time
    offsets = {"ten minutes slow": -600, "ten minutes fast": 600, "an hour back": -3600, "two hours on": 7200}
    with FakeBucket("models", required_token="good") as bucket, _environment("GCE_METADATA_HOST") as point_at:
        for name in place.bucket.names():
            bucket.put(name, place.bucket.data(name))
        with FakeMetadataServer(access_token="good") as server:
            point_at(server.host)
            # One store through all jumps, so that its token's end is judged by each clock.
            store = BucketStore(bucket.url, "models", "", AccessTokens(metadata_token), HASTY)
            for what, offset in offsets.items():
                time.time = lambda offset=offset: real() + offset  # type: ignore[misc]
                try:
                    loader = ModelLoader(Repository(store, Trust([place.trusted])), TabularWrapper, "prod")
                    cache = ModelCache(loader, MemoryBudget(2 * GIB, 0))
                    _expect(wrong, what, _error_of(cache), None)
                    bucket.fault("read", status=503, times=None)
                    error: Any = _error_of_name(cache, "absent")
                    bucket.heal()
                finally:
                    time.time = real
                _expect(wrong, f"{what}, refused", error, StoreUnavailable)
                if not 0 < int(error.headers["Retry-After"]) <= 60:
                    wrong.append(f"{what}: Retry-After {error.headers['Retry-After']}")
    return _bar("clocks 10 min off, and jumps by hours", "no effect", "none", wrong)


def _unreachable(place: Place) -> Bar:
    """A host that does not exist, a TLS that fails, a port where nobody listens."""
    wrong: list[str] = []
    slowest = 0.0
    port = place.bucket.url.rpartition(":")[2]
    for endpoint in ("http://bucket.invalid", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
        store = BucketStore(endpoint, "models", "", AccessTokens(None))
        loader = ModelLoader(Repository(store, Trust([place.trusted])), TabularWrapper, "prod")
        began = time.monotonic()
        _expect(wrong, endpoint, _error_of(ModelCache(loader, MemoryBudget(GIB, 0))), StoreUnavailable)
        slowest = max(slowest, time.monotonic() - began)
    if slowest > Patience().read + SLACK_S:
        wrong.append(f"{slowest:.1f} s")
    return _bar("no such host, no TLS, nobody listens", "503 within 5 s", f"{slowest:.2f} s", wrong)


def _misfits(place: Place, manifest: Manifest) -> Bar:
    """Signed, and made for something else: refused before a file is asked for."""
    wrong: list[str] = []
    changes: list[dict[str, Any]] = [
        {"python": "3.9"},
        {"packages": manifest.packages | {"dill": "0.3.9"}},
        {"packages": manifest.packages | {"no-such-package": "1.0"}},
        {"version": 99},
    ]
    for number, change in enumerate(changes):
        name = f"misfit{number}"
        misfit = replace(manifest, name=name, **change)
        folder = f"tabular/{name}/revisions/{misfit.revision}"
        place.bucket.put(f"{folder}/manifest.json", place.key.sign("manifest", misfit.document()))
        place.repository.trust = Trust([place.trusted])
        pointer = {"family": "tabular", "name": name, "alias": "prod", "revision": misfit.revision}
        pointer |= {"manifest": misfit.digest, "serial": 1, "previous": []}  # type: ignore[dict-item]
        place.bucket.put(f"tabular/{name}/aliases/prod.json", place.key.sign("alias", pointer))
        loader = ModelLoader(place.repository, TabularWrapper, "prod")
        cache = ModelCache(loader, MemoryBudget(2 * GIB, 0))
        _expect(wrong, str(change)[:40], _error_of_name(cache, name), ArtifactRefused)
        if files := [
            call.object for call in place.bucket.calls if f"/{name}/" in call.object and "json" not in call.object
        ]:
            wrong.append(f"{change}: {files} were asked for")
    return _bar("made for another Python, package or version", "refused before a file is read", "so it is", wrong)


def _error_of_name(cache: ModelCache, name: str) -> Exception | None:
    try:
        with cache.use(name, Phases()):
            return None
    except ServingError as exc:
        return exc


def _expect(wrong: list[str], what: str, error: Any, kind: type[Exception] | None) -> None:
    if (error is None) != (kind is None) or (kind is not None and not isinstance(error, kind)):
        wrong.append(f"{what}: {type(error).__name__ if error else 'served'} {error or ''}")


@contextmanager
def _environment(name: str) -> Iterator[Callable[[str], None]]:
    before = os.environ.get(name)
    try:
        yield lambda value: os.environ.__setitem__(name, value)
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@contextmanager
def _silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
